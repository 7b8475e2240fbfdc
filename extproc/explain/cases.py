"""The file of `extproc test`: requests, who makes them, and what they have to come to.

users:
  alice: {sub: alice, groups: [staff, admins]}
tokens:
  machine: {sub: machine, client_id: machine, scope: "orders:read"}
tests:
  - {url: https://app.example.com/admin/, user: alice, expect: allow, rule: admin}
  - {application: app, path: /api/orders, token: machine, expect: allow, rule: api}
  - {application: app, path: /admin/, expect: login}
"""

import json
import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

import yaml
from pydantic import Field, PlainValidator, StrictStr, ValidationError, model_validator
from pydantic_core import ErrorDetails

from extproc.core.http import AUTHORIZATION, origin
from extproc.explain.callers import Token
from extproc.explain.client_certificate import Certificate
from extproc.explain.outcome import User
from extproc.explain.peer import Peer
from extproc.explain.sample import SampleRequest
from extproc.settings import Settings
from extproc.settings.client_certificate import is_subject, san_type
from extproc.settings.types import Duration, Model
from extproc.settings.yaml_faults import explain_yaml
from extproc.settings.yaml_text import load_yaml

# bytes of the file
MAXIMUM_FILE = 8 << 20
WORDS = ("allow", "login", "step_up")
_STATUSES = range(100, 600)
_METHOD = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,40}")  # RFC 9110 section 5.6.2
# claims of which a test says how long ago they were, so that it means the same every day
_TIMES = {"auth_time": "auth_age", "iat": "claims_age"}
_MAXIMUM_SUBJECT = 255  # OpenID Connect Core section 2

Claims = dict[str, Any]


class CasesError(Exception):
    """The file cannot be used. The text is for the operator, one line for each fault."""


def _address(value: object) -> IPv4Address | IPv6Address:
    try:
        return ip_address(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError("is an address such as 10.0.0.1 or 2001:db8::1") from None


class ShownCertificate(Model):
    """The certificate that the client of a test shows; Envoy has verified it."""

    subject: StrictStr = ""
    sans: tuple[StrictStr, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.subject and not is_subject(self.subject):
            raise ValueError("subject is written as in client_certificate: CN=billing,O=Example")
        for san in self.sans:
            if san_type(san) is None:
                raise ValueError(f"sans: {san[:80]!r} is no alternative name without its type")
        return self


def _expectation(value: object) -> str | int:
    whole = isinstance(value, int) and not isinstance(value, bool) and value in _STATUSES
    if whole or (isinstance(value, str) and value in WORDS):
        return value  # type: ignore[return-value]
    raise ValueError(f"is {', '.join(WORDS)}, or the status of an answer, such as 403")


def _claims(value: object) -> Claims:
    if not isinstance(value, dict):
        raise ValueError("is a mapping of claims, such as {sub: alice, groups: [staff]}")
    subject = value.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _MAXIMUM_SUBJECT:
        raise ValueError("needs the claim sub, as text")
    for claim, key in _TIMES.items():
        if claim in value:
            raise ValueError(f"has {claim}; say how long ago that was in {key} of the test")
    return value


def _user(value: object) -> str | Claims | None:
    return value if value is None or isinstance(value, str) else _claims(value)


def _method(value: object) -> str:
    if isinstance(value, str) and _METHOD.fullmatch(value):
        return value
    raise ValueError("is the method of a request, such as GET")


class Case(Model):
    """One test. What is not set of rule, shadow and identity is not compared."""

    name: StrictStr = ""
    url: StrictStr | None = None
    application: StrictStr | None = None
    path: StrictStr = "/"
    method: Annotated[str, PlainValidator(_method)] = "GET"
    headers: dict[StrictStr, StrictStr] = Field(default_factory=dict)
    user: Annotated[str | Claims | None, PlainValidator(_user)] = None
    token: Annotated[str | Claims | None, PlainValidator(_user)] = None
    auth_age: Duration | None = 0
    claims_age: Duration = 0
    address: Annotated[IPv4Address | IPv6Address | None, PlainValidator(_address)] = None
    certificate: ShownCertificate | None = None
    expect: Annotated[str | int, PlainValidator(_expectation)]
    rule: StrictStr | None = None
    shadow: StrictStr | None = None
    identity: bool | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.url is None) == (self.application is None):
            raise ValueError("needs url, or application with path")
        if self.url is not None and "path" in self.model_fields_set:
            raise ValueError("path goes with application; url has its own")
        if self.url is not None and not re.match(r"(?:https?:/)?/", self.url):
            raise ValueError("url is an address such as https://app.example.com/x, or a path")
        if not self.path.startswith("/"):
            raise ValueError("path begins with /")
        if any(name.lower() == AUTHORIZATION for name in self.headers):
            raise ValueError("headers: write the claims of an access token in token, and no token")
        try:
            _ = urlsplit(self.url or "").port
        except ValueError:
            raise ValueError("url: its host or its port is not valid") from None
        return self

    @property
    def peer(self) -> Peer:
        """The client of the test."""
        shown = self.certificate
        certificate = Certificate(shown.subject, shown.sans) if shown is not None else None
        return Peer(self.address, certificate)

    def sample(self, settings: Settings) -> SampleRequest:
        """The request of the test."""
        url = self.url
        if url is None:
            url = origin(settings.url(str(self.application))) + self.path
        headers = [(name.lower(), value) for name, value in self.headers.items()]
        if self.token is not None:
            headers.append((AUTHORIZATION, "Bearer test"))
        return SampleRequest(self.method, url, tuple(headers))


class Cases(Model):
    """The whole file."""

    users: dict[StrictStr, Annotated[Claims, PlainValidator(_claims)]] = Field(default_factory=dict)
    tokens: dict[StrictStr, Annotated[Claims, PlainValidator(_claims)]] = Field(
        default_factory=dict
    )
    tests: tuple[Case, ...]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.tests:
            raise ValueError("tests has no test")
        return self

    def user(self, case: Case) -> User | None:
        """Who makes the request of a test; None: nobody is signed in."""
        claims = self.users[case.user] if isinstance(case.user, str) else case.user
        if claims is None:
            return None
        age = None if case.auth_age is None else int(case.auth_age)
        return User(claims, age, int(case.claims_age))

    def token(self, case: Case) -> Token | None:
        """The access token that the request of a test brings; None: it brings none."""
        claims = self.tokens[case.token] if isinstance(case.token, str) else case.token
        if claims is None:
            return None
        # A machine's token does not say when anybody authenticated, so that is never a default.
        says = "auth_age" in case.model_fields_set and case.auth_age is not None
        return Token(claims, int(case.auth_age or 0) if says else None, int(case.claims_age))


def parse(text: bytes, name: str, settings: Settings) -> Cases:
    """Read a file of tests.

    Args:
        text: its content.
        name: its name, for errors.
        settings: the settings, whose applications it may name.

    Raises:
        CasesError: the file cannot be used.
    """
    document = _document(text, name)
    try:
        cases = Cases.model_validate_json(json.dumps(document, default=str))
    except ValidationError as error:
        faults = [_fault(each) for each in error.errors(include_input=False, include_url=False)]
        raise CasesError("\n".join(f"{name}: {fault}" for fault in faults)) from None
    except (TypeError, ValueError, RecursionError):
        # a key that is no text; a value that is nested in itself
        raise CasesError(f"{name}: is no mapping of texts, lists and mappings") from None
    unknown = list(_unknown(cases, settings))
    if unknown:
        raise CasesError("\n".join(f"{name}: {fault}" for fault in unknown))
    return cases


def _document(text: bytes, name: str) -> Mapping[str, Any]:
    try:
        decoded = text.decode()
        document = load_yaml(decoded)
    except UnicodeDecodeError:
        raise CasesError(f"{name}: is not UTF-8 text") from None
    except yaml.YAMLError as error:
        line, what = explain_yaml(error, decoded)
        where = f":{line}" if line is not None else ""
        raise CasesError(f"{name}{where}: is not YAML: {what}") from None
    except (ValueError, RecursionError):
        raise CasesError(f"{name}: is not YAML: a value cannot be parsed") from None
    if not isinstance(document, dict):
        raise CasesError(f"{name}: is a mapping of tests, a list, and users, if it has some")
    return document


def _fault(details: ErrorDetails) -> str:
    """One fault: the path of the key, and what is wrong."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in details["loc"])
    path = "".join(part for part in parts if part != ".[key]").lstrip(".")
    message = details["msg"].removeprefix("Value error, ")
    match details["type"]:
        case "extra_forbidden":
            message = "there is no such key"
        case "missing":
            message = "is missing"
    if message.startswith("Input"):
        message = message[:1].lower() + message[1:]
    return f"{path}: {message}" if path else message


def _unknown(cases: Cases, settings: Settings) -> Iterator[str]:
    """Users, tokens and applications that are named and do not exist."""
    for index, case in enumerate(cases.tests):
        if isinstance(case.user, str) and case.user not in cases.users:
            known = ", ".join(cases.users) or "none"
            yield f"tests[{index}].user: there is no user {case.user!r}; there are: {known}"
        if isinstance(case.token, str) and case.token not in cases.tokens:
            known = ", ".join(cases.tokens) or "none"
            yield f"tests[{index}].token: there is no token {case.token!r}; there are: {known}"
        if case.application is not None and case.application not in settings.applications:
            known = ", ".join(settings.applications)
            yield (
                f"tests[{index}].application: there is no application {case.application!r}; "
                f"there are: {known}"
            )
