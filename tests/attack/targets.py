"""Fuzz targets, one for each parser of foreign bytes.

A target takes bytes, raises only on a bug, and asserts what must be true of the parsed value.
"""

import json
import re
from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError
from harness.tokens import ENTROPY_BYTES, ISSUER, NOW, RING, application, key_set, public

from extproc._wire import ext_proc_pb2 as wire
from extproc.contract import APPLICATION
from extproc.core.decide import decide
from extproc.core.decisions import Continue, Respond
from extproc.core.encoding import b64decode, b64encode
from extproc.core.errors import Refusal
from extproc.core.http import Request, same_origin_target
from extproc.core.login import pending_of
from extproc.core.oidc.authorization import AuthorizationResponse
from extproc.core.oidc.claims import Claims, header_value, parse_object
from extproc.core.oidc.id_token import verify_without_nonce
from extproc.core.oidc.jose import KeySet, SignedToken
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.core.oidc.token import RefreshResponse
from extproc.core.oidc.token_error import code_error, refresh_error
from extproc.core.provider_logout import posted
from extproc.core.refusals import respond
from extproc.core.sealing import Label
from extproc.core.session import SessionId, session_ids
from extproc.core.session_cookie import read_session
from extproc.ext_proc import codec
from extproc.settings.load import SettingsError, parse
from extproc.traces.otlp import BadExport, decode, unpack

APP = application()
KEYS = key_set(public("RS256"), public("ES256"))
SESSION_TEXT = re.compile(rb"[A-Za-z0-9_-]{20}\.[A-Za-z0-9_-]{43}")


def cookies(data: bytes) -> None:
    """A Cookie header: the processor looks at each of its own cookies in it."""
    asked = Request("app", False, "GET", "/", "app.example", (("cookie", data.decode("latin-1")),))
    for name, value in asked.cookies:
        assert f"{name}={value}" in data.decode("latin-1") and not set(name + value) & set(' ;,="')
        assert asked.cookie(name) in (None, value)
    assert not session_ids(APP, asked) or SESSION_TEXT.search(data)


def session_cookie(data: bytes) -> None:
    """The pieces of a session in cookies, none of which was sealed with a valid key."""
    pieces = data.decode("latin-1").split(";")
    session_id = SessionId.of(b"s" * 32)
    first = f"{APP.cookies.session}={session_id.cookie}"
    data_of = (
        f"{APP.cookies.data(session_id.handle)}{n // 4}.{n % 4}={piece}"
        for n, piece in enumerate(pieces)
    )
    header = "; ".join((first, *data_of))
    asked = Request("app", False, "GET", "/", "app.example", (("cookie", header),))
    assert read_session(APP, asked) is None


def sealed(data: bytes) -> None:
    """Neither foreign bytes nor a changed value can be opened. A sealed value can."""
    label = Label("login", "app", "name")
    text = data.decode("latin-1")
    assert RING.open(text, label) is None
    ours = RING.seal(data[:1000], label, ENTROPY_BYTES)
    assert RING.open(ours, label) == data[:1000]
    changed = bytearray(b64decode(ours))
    for place in data[:4]:
        changed[place % len(changed)] ^= 1 + place // 2
    if bytes(changed) != b64decode(ours):
        assert RING.open(b64encode(bytes(changed)), label) is None


def request_head(data: bytes) -> None:
    """A message from the wire, and the decision about it without a session."""
    try:
        message = wire.ProcessingRequest.FromString(data)
        head = codec.read(message, {APPLICATION: "app"})
    except (DecodeError, codec.UnexpectedMessage):
        return
    request = head.request
    try:
        decision = decide(APP, request, None, NOW)
    except Refusal as error:
        decision = respond(error, APP, request)
    assert not isinstance(decision, Continue)
    if isinstance(decision, Respond):
        codec.write(decision, "0" * 32, "inline", grpc=head.grpc)


def url(data: bytes) -> None:
    """A request's target, by each path on which one becomes a Location: it stays on the origin."""
    target = data.decode("latin-1")
    accepted = same_origin_target(target)
    if accepted is not None:
        parts = urlsplit(APP.origin + accepted)
        assert (
            (parts.scheme, parts.netloc) == ("https", "app.example")
            and accepted.isascii()
            and accepted.isprintable()
        )
    browser = (("accept", "text/html"), ("sec-fetch-mode", "navigate"))
    for path in (f"/{target}", f"/oauth2/login?return_to={target}", f"/oauth2/callback?{target}"):
        request = Request("app", False, "GET", path, "app.example", browser)
        try:
            decision = decide(APP, request, None, NOW)
        except Refusal as error:
            decision = respond(error, APP, request)
        if isinstance(decision, Respond):
            codec.write(decision, "0" * 32, "inline")
            assert decision.location is None or decision.location.startswith("https://app.example/")


def callback(data: bytes) -> None:
    """A callback's query."""
    try:
        response = AuthorizationResponse.parse(data.decode("latin-1"))
    except (Refusal, UnicodeDecodeError):
        return
    assert (response.code is None) != (response.error is None)
    try:
        pending_of(
            APP,
            Request("app", False, "GET", "/", "app.example", (("cookie", "a=b"),)),
            response.state,
        )
    except Refusal:
        return
    raise AssertionError("an attempt that nobody made")


def form(data: bytes) -> None:
    """The body of a back-channel logout."""
    try:
        posted(data)
    except Refusal:
        return


def token(data: bytes) -> None:
    """A compact JWS, which was not signed with a known key."""
    for alg in ("RS256", "ES256"):
        try:
            SignedToken.parse(data.decode("latin-1"), alg).verified(KEYS)
        except Refusal:
            continue
        raise AssertionError("a signature that nobody made")


def claims(data: bytes) -> None:
    """The claims of a token with a valid signature: checked, and encoded in headers."""
    try:
        values = parse_object(data)
    except ValueError:
        return
    for name, value in Claims(values).values.items():
        text = header_value(value)
        assert text.isascii() and (not text or text.isprintable()) and text == text.strip(), name
    signed = b64encode(b'{"alg":"RS256"}') + "." + b64encode(data) + ".AAAA"
    try:
        verify_without_nonce(APP.client, signed, "at", KEYS, NOW)
    except Refusal:
        return
    raise AssertionError("a signature that nobody made")


def provider(data: bytes) -> None:
    """A provider's answers: metadata, keys, tokens, errors."""
    for read in (KeySet.parse, RefreshResponse.parse, code_error, partial(refresh_error, 400)):
        try:
            read(data)
        except Refusal:
            continue
    try:
        metadata = ProviderMetadata.parse(data, ISSUER)
    except Refusal:
        return
    for endpoint in (metadata.token_endpoint, metadata.jwks_uri, metadata.authorization_endpoint):
        assert (
            urlsplit(endpoint).scheme in ("https", "http") and "@" not in urlsplit(endpoint).netloc
        )


def otlp(data: bytes) -> None:
    """Spans exported to the processor."""
    for encoding in ("identity", "gzip"):
        try:
            [each.span() for each in decode(unpack(data, encoding, 100_000))]
        except BadExport:
            continue


def settings(data: bytes) -> None:
    """A settings file. Its operator is trusted, and gets a clear error instead of a traceback."""
    try:
        parse(data.decode("utf-8", "replace"))
    except SettingsError as error:
        text = str(error)
    else:
        return
    assert text


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        cookies,
        session_cookie,
        sealed,
        request_head,
        url,
        callback,
        form,
        token,
        claims,
        provider,
        otlp,
        settings,
    )
}


def corpus(name: str) -> list[bytes]:
    """The first inputs, of tests/attack/corpus: JSON texts with one character a byte."""
    from pathlib import Path

    return [
        text.encode("latin-1")
        for text in json.loads((Path(__file__).parent / "corpus" / f"{name}.json").read_text())
    ]
