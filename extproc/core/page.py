"""The pages that the processor itself answers with, as values; `pages` makes HTML of them."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Card:
    """One thing of several on a page, with what is known of it, and a button that POSTs."""

    title: str
    facts: tuple[tuple[str, str], ...]
    link: str = field(repr=False)  # holds what proves that the page was ours
    link_text: str
    badge: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """What a page of ours says; rendered at the edge, as HTML or, where HTML is not asked for, as a
    problem document (RFC 9457).
    """

    title: str
    text: str
    link: str
    link_text: str
    posts: bool = False  # the link is a form's button that POSTs
    cards: tuple[Card, ...] = ()
    back: str = ""  # where a second, plain link leads: the application
