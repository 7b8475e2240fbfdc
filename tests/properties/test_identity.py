"""For any request and any session: an identity header goes to the application only when the session
is good there, and only its own.
"""

from dataclasses import replace
from urllib.parse import urlsplit

from harness.tokens import ENTROPY_BYTES, ISSUER, NOW, application, request
from hypothesis import given
from hypothesis import strategies as st

from extproc._wire import ext_proc_pb2 as wire
from extproc.contract import APPLICATION, PUBLIC
from extproc.core.decide import decide
from extproc.core.decisions import Continue, Refresh, Respond
from extproc.core.device import Device
from extproc.core.errors import Refusal
from extproc.core.http import Request
from extproc.core.oidc.claims import Claims
from extproc.core.refusals import respond
from extproc.core.session import Session, SessionId
from extproc.core.session_cookie import read_session, session_cookies
from extproc.core.session_record import from_record, to_record
from extproc.core.step_up import Demand
from extproc.ext_proc import codec

APPS = [
    application(),
    application(forward_access_token=True, refresh_margin=30),
    application(url="https://app.example/wiki/", name="wiki", demand=Demand(max_age=600)),
]
IDENTITY = {"x-auth-sub", "x-auth-email", "x-auth-name", "x-auth-groups", "authorization"}
LATIN = st.characters(max_codepoint=255)
# around every limit that a session has
AROUND = st.integers(-50_000, 50_000) | st.sampled_from(
    [-3601, -3600, -3599, -600, -30, -1, 0, 1, 30, 300, 43_199, 43_200]
)
SESSIONS = st.builds(
    Session,
    id=st.just(SessionId.of(b"s" * 32)),
    issuer=st.sampled_from([ISSUER, "https://other.example"]),
    subject=st.just("alice"),
    claims=st.just(Claims({"sub": "alice", "email": "a@example.com"})),
    id_token=st.just("idt"),
    access_token=st.just("at"),
    refresh_token=st.sampled_from(["rt", None]),
    access_expires=AROUND.map(lambda t: NOW + t),
    created=AROUND.map(lambda t: NOW + t),
    expires=AROUND.map(lambda t: NOW + t),
    touched=AROUND.map(lambda t: NOW + t),
)
REQUESTS = st.builds(
    Request,
    application=st.just("app"),
    public=st.booleans(),
    method=st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "CONNECT", "get", ""]),
    target=st.sampled_from(["/", "/private", "/wiki/x", "/oauth2/callback?code=a&state=b", "/oauth2/login?return_to=//evil", "/wiki/oauth2/login"])
    | st.text(LATIN, max_size=60).map(lambda text: "/" + text),
    authority=st.sampled_from(["app.example", "APP.example:443", "other.example", "evil.example", ""]),
    headers=st.lists(
        st.tuples(
            st.sampled_from(["cookie", "accept", "sec-fetch-mode", "sec-fetch-dest", "sec-fetch-site", "origin", "upgrade", "purpose"]),
            st.sampled_from(["text/html", "navigate", "document", "cross-site", "https://app.example", "websocket"]) | st.text(LATIN, max_size=40),
        ),
        max_size=6,
    ).map(tuple),
)  # fmt: skip


@given(st.sampled_from(APPS), REQUESTS, st.none() | SESSIONS, st.booleans())
def test_identity_goes_on_only_with_a_session_that_is_good_there(app, asked, session, may_refresh):
    try:
        decision = decide(app, asked, session, NOW, may_refresh=may_refresh)
    except Refusal as error:
        decision = respond(error, app, asked)
    good = session is not None and session.fresh(app, NOW) and session.sufficient(app, NOW)
    if isinstance(decision, Continue):
        told = dict(decision.set_headers)
        assert asked.public or good
        assert not told or (good and told.pop("x-auth-sub") == "alice" and set(told) <= IDENTITY)
        # whatever we do not say ourselves is taken away
        ours = {header for header, _ in app.identity} | (
            {"authorization"} if app.forward_access_token else set()
        )
        assert ours == {name for name, _ in decision.set_headers} | set(decision.remove_headers)
        assert not decision.set_cookies or good
    if isinstance(decision, Refresh):
        assert good
    if isinstance(decision, Respond):
        if decision.location is not None:
            assert urlsplit(decision.location)[:2] == ("https", "app.example")
        assert decision.json is None or good
        codec.write(decision, "0" * 32, "inline")  # every value is one that a header may hold


@given(st.sampled_from(APPS[:2]), SESSIONS)
def test_a_session_is_kept_by_record_and_cookie_and_opens_for_its_application_alone(app, session):
    record = to_record(app, session, Device(), ENTROPY_BYTES * 2)
    assert from_record(app, session.id, record) == session
    assert from_record(APPS[2], session.id, record) is None
    assert from_record(app, SessionId.of(b"x" * 32), record) is None
    kept = session_cookies(app, request(), session, NOW, ENTROPY_BYTES)
    header = "; ".join(f"{cookie.name}={cookie.value}" for cookie in kept)
    assert read_session(app, request(cookie=header)) == session
    other = header.replace("-app", "-wiki")
    assert read_session(APPS[2], request(cookie=other)) is None
    assert (
        read_session(
            replace(app, ring=type(app.ring).of([b"another key" * 4])), request(cookie=header)
        )
        is None
    )


@given(
    st.lists(st.tuples(st.sampled_from([":path", ":method", ":authority", "accept", "x-extproc-cookies", "x-auth-sub", "X-EXTPROC-PUBLIC"]), st.binary(max_size=40)), max_size=12),
    st.dictionaries(st.sampled_from([APPLICATION, PUBLIC, "x-other"]), st.text(max_size=8)),
)  # fmt: skip
def test_any_head_is_read_or_refused_and_only_the_route_says_that_it_is_public(headers, metadata):
    message = wire.ProcessingRequest()
    message.request_headers.SetInParent()
    for name, value in headers:
        header = message.request_headers.headers.headers.add()
        header.key, header.raw_value, header.value = name, value, "ignored"
    try:
        head = codec.read(message, metadata)
    except codec.UnexpectedMessage:
        assert APPLICATION not in metadata
        return
    assert (
        head.request.public == (metadata.get(PUBLIC) == "1")
        and head.request.application == metadata[APPLICATION]
    )
    assert all(
        name != "x-auth-sub" and "ignored" not in value for name, value in head.request.headers
    )
