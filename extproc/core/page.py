"""The processor's own pages as values; the package `pages` makes HTML of them."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Card:
    """One item in a page's list, with facts about it and a button that POSTs.

    link: the address to which the button POSTs; it holds the form token.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    link: str = field(repr=False)
    link_text: str
    badge: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """The content of a page. It is rendered as HTML or, for clients that do not accept HTML, as a
    problem document (RFC 9457).

    Attributes:
        link: the address of the page's main link; it may hold a form token.
        posts: whether the main link is a button that POSTs.
        cards: the items of the page's list.
        back: the address of a second, plain link to the application; "" for none.
    """

    title: str
    text: str
    link: str = field(repr=False)
    link_text: str
    posts: bool = False
    cards: tuple[Card, ...] = ()
    back: str = ""
