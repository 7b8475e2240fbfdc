"""What the conditions of access compare: groups, email addresses, and values of claims.

A claim that is absent, or of another type than the condition expects, matches nothing. Every
function is total, and takes time in proportion to the size of its input.
"""

from collections.abc import Collection, Mapping

import idna

# characters of an email address (RFC 5321 section 4.5.3.1: 64 + 1 + 255), and of a domain
MAX_EMAIL = 320
MAX_DOMAIN = 255
Scalar = str | bool | int | float
_ASCII_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def groups_of(claim: object) -> frozenset[str]:
    """The groups that a claim names.

    - Text is one group, whatever it contains.
    - A list names a group by each text, and by the text `name` of each object; other elements name
      none.
    - An object names a group by each of its keys, as Zitadel writes the roles of a project.
    """
    if isinstance(claim, str):
        return frozenset((claim,)) if claim else frozenset()
    if isinstance(claim, Mapping):
        return frozenset(key for key in claim if isinstance(key, str) and key)
    if not isinstance(claim, list | tuple):
        return frozenset()
    named = (each.get("name") if isinstance(each, Mapping) else each for each in claim)
    return frozenset(each for each in named if isinstance(each, str) and each)


def matches(claim: object, wanted: Collection[Scalar]) -> bool:
    """Whether a claim has one of these values, or is a list with one of them.

    Text equals text, a number equals a number, and true and false are no numbers.
    """
    if isinstance(claim, list | tuple):
        return any(_equals_any(each, wanted) for each in claim)
    return _equals_any(claim, wanted)


def _equals_any(value: object, wanted: Collection[Scalar]) -> bool:
    if not isinstance(value, str | bool | int | float):
        return False
    return any(_kind(value) is _kind(each) and value == each for each in wanted)


def _kind(value: Scalar) -> type:
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def email_address(text: object) -> tuple[str, str] | None:
    """The local part and the domain of an email address, as they are compared.

    ASCII letters count in lower case, and domains in the form in which DNS has them (IDNA, RFC
    5891). In the local part no other letter counts as another one: some providers let users choose
    an address of theirs with a letter that looks like, or folds to, an ASCII one.

    Returns None for what is no address: another type, too long, without exactly one `@`, or without
    a domain.
    """
    if not isinstance(text, str) or len(text) > MAX_EMAIL or text.count("@") != 1:
        return None
    local, _, domain = text.partition("@")
    normalised = email_domain(domain)
    if not local or normalised is None:
        return None
    return local.translate(_ASCII_LOWER), normalised


def email_domain(text: str) -> str | None:
    """A domain in the form in which DNS has it (IDNA, RFC 5891), in lower case; None for what is no
    domain.
    """
    if not text or len(text) > MAX_DOMAIN:
        return None
    try:
        return idna.encode(text, uts46=True).decode().lower()
    except (idna.IDNAError, UnicodeError):
        return None
