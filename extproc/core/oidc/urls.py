"""Absolute http and https URLs, accepted only if an HTTP client accepts them: a URL on which a
resolver, an IDNA codec or a client would fail is refused when it is read, not when it is called.
"""

import ipaddress
import re
import unicodedata
from urllib.parse import SplitResult, urlsplit

from extproc.addresses import LABEL, LONGEST_NAME

# characters of a URL
LONGEST = 2048
_PORT = re.compile(r"[0-9]{1,5}")
# Unicode categories, and further characters, of internationalized labels (RFC 5892 sections 2.1 and
# 2.6)
_LETTERS = frozenset(("Ll", "Lm", "Lo", "Mn", "Mc", "Nd"))
_OTHERS = frozenset("-\u00b7\u0375\u05f3\u05f4\u06fd\u06fe\u0f0b\u200c\u200d\u3007\u30fb")
# the last label of a host that some clients and resolvers read as an IPv4 address, as inet_aton()
# reads 1.2.3 and 0x7f.1
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")


def url_fault(url: str) -> str | None:
    """Describe what is wrong with a URL, in words that follow its name; None if HTTP clients accept
    it.
    """
    if not 0 < len(url) <= LONGEST:
        return f"has no character, or more than {LONGEST}"
    if not re.fullmatch(r"[\x21-\x7e]+", url) or "\\" in url:
        return "has a blank, a backslash, or a character that is not ASCII"
    try:
        parts = urlsplit(url)
    except ValueError:
        return "has no host that can be called: brackets are for IPv6 addresses"
    if parts.scheme not in ("http", "https") or not url.partition(":")[2].startswith("//"):
        return "does not begin with https:// or http://"
    if "#" in url:
        return "has a fragment"
    return _authority_fault(parts)


def _authority_fault(parts: SplitResult) -> str | None:
    if "@" in parts.netloc:
        return "has a user or a password"
    if parts.netloc.startswith("["):
        host, bracket, rest = parts.netloc.partition("]")
        if not bracket or not _is_ipv6(host[1:]):
            return "has no host that can be called: brackets are for IPv6 addresses"
    else:
        host, _, _ = parts.netloc.partition(":")
        rest = parts.netloc[len(host) :]
        fault = _host_fault(host)
        if fault is not None:
            return fault
    return None if _is_port(rest) else "has no port between 1 and 65535 after its host"


def _is_port(rest: str) -> bool:
    """Whether the text that follows a host, with its colon, is a port or nothing."""
    if rest in ("", ":"):
        return True
    if not rest.startswith(":") or _PORT.fullmatch(rest[1:]) is None:
        return False
    return 0 < int(rest[1:]) < 65536


def _is_ipv6(host: str) -> bool:
    try:
        # an address with a zone names an interface of one machine
        return "%" not in host and ipaddress.IPv6Address(host) is not None
    except ValueError:
        return False


def _host_fault(host: str) -> str | None:
    """Describe what is wrong with a host name or an IPv4 address."""
    labels = host.removesuffix(".").split(".")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            return (
                "has no host that can be called: its last label is a number, and it is no IPv4 "
                "address"
            )
        return None
    if len(host) > LONGEST_NAME:
        return f"has a host of more than {LONGEST_NAME} characters"
    faults = (_label_fault(label) for label in labels)
    return next((fault for fault in faults if fault is not None), None)


def _label_fault(label: str) -> str | None:
    if not LABEL.fullmatch(label):
        return (
            "has no host that can be called: each label has 1 to 63 letters, digits, "
            "hyphens or underscores"
        )
    if label.lower().startswith("xn--") and not _is_internationalized(label):
        return (
            "has no host that can be called: a label that begins with xn-- is no "
            "internationalized one"
        )
    return None


def _is_internationalized(label: str) -> bool:
    """Whether a label that begins with xn-- is an A-label: Punycode in its canonical spelling, of
    letters, marks and digits (RFC 5891 section 5.4, RFC 5892).
    """
    try:
        text = label[4:].lower().encode().decode("punycode")
        spelled = text.encode("punycode").decode() == label[4:].lower()
    except (UnicodeError, OverflowError):
        return False
    normal = unicodedata.normalize("NFC", text) == text and not text.isascii()
    return (
        spelled
        and normal
        and all(char in _OTHERS or unicodedata.category(char) in _LETTERS for char in text)
    )
