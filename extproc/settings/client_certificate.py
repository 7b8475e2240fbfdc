"""Settings of client certificates: which one the client of a rule's requests has to show.

Envoy compares the values with those of a certificate that it has verified
(envoyconfig/filters/client_certificate.py), byte for byte.
"""

import ipaddress
import re
from typing import Literal, Self

from pydantic import Field, model_validator

from extproc.settings.allow import Texts
from extproc.settings.types import Model

SanType = Literal["DNS", "URI", "EMAIL", "IP_ADDRESS"]
# RFC 3986 section 3.1, and no port after a host.
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?![0-9]+$)[!-~]+")
_EMAIL = re.compile(r"[!-?A-~]+@[!-?A-~]+")
_DNS = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
# An attribute of a name in RFC 2253 section 2.4, as OpenSSL's XN_FLAG_RFC2253 and Envoy write it:
# commas and the like behind a backslash, other than printable ASCII as hexadecimal digits.
_ESCAPED = r'\\(?:[,+"\\<>;# ]|[0-9A-F]{2})'
_PLAIN = r"[!$-*\-./0-:=?-\[\]-~]"
_CHARACTER = rf"(?:{_PLAIN}|{_ESCAPED})"
_VALUE = rf"(?:#(?:[0-9A-F]{{2}})+|(?:{_CHARACTER}(?:{_CHARACTER}|[ #])*(?<![^\\] ))?)"
_ATTRIBUTE = rf"(?:[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+)={_VALUE}"
_SUBJECT = re.compile(rf"(?!subject=){_ATTRIBUTE}(?:[,+]{_ATTRIBUTE})*")
# characters of a subject or of an alternative name
_LONGEST = 2000


class ClientCertificate(Model):
    """The certificate that a client has to show: each key that is set has to hold, by one of its
    values.
    """

    subjects: Texts | None = Field(
        None,
        description="whole subjects, as `openssl x509 -noout -subject -nameopt RFC2253` prints "
        "them, such as CN=billing,O=Example",
    )
    sans: Texts | None = Field(
        None,
        description="alternative names (SAN), each of the type that it looks like: a URI such as "
        "spiffe://example.com/billing, an email address, an IP address, or else a DNS name",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.subjects is None and self.sans is None:
            raise ValueError("names no certificate; give it subjects, sans or both")
        for subject in self.subjects or ():
            if not is_subject(subject):
                raise ValueError(
                    f"subjects: {subject[:80]!r} is not a subject such as CN=billing,O=Example; "
                    "write it as `openssl x509 -noout -subject -nameopt RFC2253` prints it, "
                    "without `subject=`"
                )
        for san in self.sans or ():
            if san_type(san) is None:
                raise ValueError(
                    f"sans: {san[:80]!r} is not an alternative name: a URI such as "
                    "spiffe://example.com/billing, an email address, an IP address or a DNS name, "
                    "without a wildcard and without its type in front"
                )
        return self


def is_subject(value: str) -> bool:
    """Whether a value is a subject as Envoy writes it, in the form of RFC 2253."""
    return len(value) <= _LONGEST and _SUBJECT.fullmatch(value) is not None


def san_type(value: str) -> SanType | None:
    """The type of the alternative name that a value names; None if it is no such name."""
    if len(value) > _LONGEST:
        return None
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        pass
    else:
        # Envoy writes an address in one way.
        return "IP_ADDRESS" if str(address) == value and _is_plain(address) else None
    if value.partition(":")[0] in ("DNS", "URI", "IP", "email"):
        return None
    if _URI.fullmatch(value):
        return "URI"
    if _EMAIL.fullmatch(value):
        return "EMAIL"
    return "DNS" if _DNS.fullmatch(value) else None


def _is_plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address has no zone, and is no IPv4 address in IPv6."""
    if isinstance(address, ipaddress.IPv4Address):
        return True
    return address.scope_id is None and address.ipv4_mapped is None
