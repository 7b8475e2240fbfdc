"""Properties of the core, for any input (hypothesis)."""

from urllib.parse import quote, unquote, urlsplit

import pytest
from harness.tokens import ENTROPY_BYTES, ISSUER, NOW, RING, application, request
from hypothesis import given
from hypothesis import strategies as st

from extproc.core.decide import decide
from extproc.core.decisions import Continue
from extproc.core.errors import Refusal
from extproc.core.http import Request
from extproc.core.oidc.authorization import AuthorizationResponse
from extproc.core.oidc.claims import Claims, header_value, raw_header_value
from extproc.core.refusals import respond
from extproc.core.sealing import Label
from extproc.core.session import Session, SessionId

APP = application()
SESSION = Session(
    SessionId.of(b"s" * 32),
    ISSUER,
    "alice",
    Claims({"sub": "alice"}),
    "idt",
    "at",
    "rt",
    NOW + 300,
    NOW,
    NOW + 43_200,
    NOW,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.mark.attack("REDI-01")
@pytest.mark.threat("one-login")
@given(st.text())
def test_whatever_is_asked_for_the_location_is_ours(target):
    decision = decide(
        APP,
        request(f"/oauth2/login?return_to={quote(target, errors='surrogatepass')}"),
        SESSION,
        NOW,
    )
    location = urlsplit(decision.location)
    assert (
        (location.scheme, location.netloc) == ("https", "app.example")
        and decision.location.isascii()
        and decision.location.isprintable()
    )


@given(
    target=st.text(st.characters(max_codepoint=255), max_size=80).map(lambda t: "/" + t),
    method=st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "get", ""]),
    headers=st.dictionaries(
        st.sampled_from(
            ["cookie", "accept", "sec-fetch-mode", "sec-fetch-site", "origin", "upgrade"]
        ),
        st.text(st.characters(max_codepoint=255), max_size=60),
    ),
    public=st.booleans(),
)
def test_any_request_without_a_session_is_decided_or_refused_and_never_identified(
    target, method, headers, public
):
    asked = Request("app", public, method, target, "app.example", tuple(headers.items()))
    try:
        decision = decide(APP, asked, None, NOW)
    except Refusal as error:
        decision = respond(error, APP, asked)
    if isinstance(decision, Continue):
        assert public and not decision.set_headers and not decision.set_cookies


@pytest.mark.attack("HDR-09")
@pytest.mark.threat("spoofed-identity")
@given(JSON)
def test_a_claim_never_ends_a_header_and_has_no_blank_at_its_ends(claim):
    value = header_value(claim)
    assert value.isascii() and (not value or value.isprintable()) and value == value.strip()


@pytest.mark.attack("HDR-10")
@given(st.lists(st.text(min_size=1)))
def test_a_list_is_read_back_element_by_element(groups):
    value = header_value(groups)
    assert [unquote(part, errors="surrogatepass") for part in value.split(",") if part] == groups


@pytest.mark.attack("HDR-09", "HDR-10")
@given(JSON)
def test_a_raw_claim_is_what_the_provider_wrote_or_nothing(claim):
    value = raw_header_value(claim)
    assert value.isprintable() and value == value.strip() and value.encode().decode() == value
    if isinstance(claim, str):
        assert value in ("", claim) and "," not in value


@given(st.lists(st.text(min_size=1)))
def test_a_raw_list_has_its_own_elements_or_none(groups):
    value = raw_header_value(groups)
    assert not value or value.split(",") == groups


@given(st.binary(max_size=300), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_what_is_sealed_opens_under_its_own_label_alone(data, purpose, name, cookie):
    label = Label(purpose, name, cookie)
    sealed = RING.seal(data, label, ENTROPY_BYTES)
    assert RING.open(sealed, label) == data
    assert RING.open(sealed, Label(purpose + name, "", cookie)) in (
        None,
        data if not name else None,
    )
    assert RING.open(sealed, Label(purpose, name, cookie, secret=b"x")) is None


@pytest.mark.attack("COOK-16")
@given(st.text())
def test_whatever_is_no_sealed_value_opens_as_none(text):
    assert RING.open(text, Label("login", "app")) is None


@given(st.text())
def test_any_query_is_parsed_or_refused(query):
    try:
        response = AuthorizationResponse.parse(query)
    except Refusal:
        return
    assert (response.code is None) != (response.error is None)


@pytest.mark.attack("COOK-14")
@given(st.text(st.characters(max_codepoint=255), max_size=400))
def test_any_cookie_header_is_read(text):
    asked = Request("app", False, "GET", "/", "app.example", (("cookie", text),))
    for name, value in asked.cookies:
        assert f"{name}={value}" in text and not set(value) & set(' ;,="')
