"""What the log says of a refusal: fixed words that name the one cause, and nothing that somebody
else wrote.
"""

import json
from dataclasses import replace
from functools import partial

import pytest
from harness.tokens import (
    ENTROPY_BYTES,
    ISSUER,
    NOW,
    RING,
    Signer,
    application,
    client,
    cookie_header,
    id_token_claims,
    key_set,
    pending,
    public,
    request,
    session,
)

from extproc.core.decide import decide
from extproc.core.device import Device
from extproc.core.encoding import b64decode, b64encode
from extproc.core.errors import (
    AcrNotSatisfied,
    AuthTimeTooOld,
    ClientRefused,
    CodeRefused,
    InvalidAnswer,
    InvalidCallback,
    InvalidIDToken,
    InvalidLogout,
    InvalidLogoutToken,
    InvalidMetadata,
    InvalidTokenResponse,
    InvalidUserInfo,
    LoginRequired,
    MethodNotAllowed,
    SessionTooLarge,
    StateMismatch,
    SubjectMismatch,
    UnknownKey,
)
from extproc.core.login import login_cookie, pending_of
from extproc.core.oidc.authorization import AuthorizationResponse
from extproc.core.oidc.claims import Claims, parse_object
from extproc.core.oidc.id_token import UserInfo, claims_of, verify_id_token
from extproc.core.oidc.jose import KeySet
from extproc.core.oidc.logout_token import EVENT, verify_logout_token
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.core.oidc.token import RefreshResponse, TokenResponse, token_error
from extproc.core.provider_logout import back_channel, posted
from extproc.core.refresh import renewed
from extproc.core.sealing import KeyRing, Label
from extproc.core.session import SessionId
from extproc.core.session_cookie import session_cookies
from extproc.core.session_record import MAX_IDENTITY, MAX_SEALED, to_record
from extproc.core.step_up import Demand

APP = application(backchannel_logout=True)
EVIL = "<script>evil</script>"  # what somebody else says, wherever there is room for it
STATE = pending().state


def said(call) -> tuple[type[Exception], str]:
    """What is raised: its class, and its detail."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - what it is, is what is asked
        call()
    error = caught.value
    assert str(error) == (getattr(error, "detail", None) or getattr(error, "reason", str(error)))
    return type(error), getattr(error, "detail", str(error))


# -- the callback


def callback(query: str, cookie: str = "") -> object:
    return decide(APP, request(f"/oauth2/callback?{query}", cookie=cookie), None, NOW)


@pytest.mark.parametrize(
    ("query", "kind", "detail"),
    [
        (f"state={STATE}&code=" + "a" * 16_384, InvalidCallback, "the query is longer than 16 kB"),
        (f"state={STATE}&{EVIL}", InvalidCallback, "the query is malformed"),
        ("&".join(["a=1"] * 65), InvalidCallback, "the query is malformed"),
        (f"state={STATE}&code=a&code={EVIL}", InvalidCallback, "a parameter stands twice"),
        (f"state={STATE}&code=a&state=", InvalidCallback, "a parameter stands twice"),
        (f"code={EVIL}", StateMismatch, "no state"),
        ("", StateMismatch, "no state"),
        (f"state={STATE}", InvalidCallback, "neither code nor error"),
        (f"state={STATE}&code=&error=", InvalidCallback, "neither code nor error"),
        (f"state={STATE}&code={EVIL}&error={EVIL}", InvalidCallback, "both code and error"),
        (f"state={STATE}&code=%C3%A9", InvalidCallback, "the code has characters that no code has (RFC 6749 appendix A.11)"),
        (f"state={STATE}&code=%FF", InvalidCallback, "the query is malformed"),
        (f"state={EVIL}&code=a", StateMismatch, "not a state of ours"),
        (f"state={STATE}&code=a", StateMismatch, "this browser has no login cookie of that state"),
    ],
)  # fmt: skip
def test_of_a_callback(query, kind, detail):
    assert said(lambda: callback(query)) == (kind, detail)


def test_of_a_callback_whose_login_cookie_is_not_that_of_its_state():
    ours = cookie_header(APP, pending(APP))
    assert (
        said(lambda: pending_of(APP, request(cookie=ours), STATE[:-1] + "~"))[1]
        == "not a state of ours"
    )
    other = STATE[:-1] + ("A" if STATE[-1] != "A" else "B")
    elsewhere = replace(pending(APP), issuer="https://evil.example")
    for state, cookie in ((other, ours), (STATE, cookie_header(APP, elsewhere))):
        refusal = said(partial(pending_of, APP, request(cookie=cookie), state))
        assert refusal == (StateMismatch, "the login cookie has another state or another issuer")


def test_the_parameters_of_a_callback_are_read_whole():
    read = AuthorizationResponse.parse
    assert read("state=s&code=c&iss=i&session_state=x&empty=") == AuthorizationResponse(
        "s", "c", None, "i"
    )
    assert read("state=s&error=access_denied&error_description=x") == AuthorizationResponse(
        "s", None, "access_denied", None
    )
    longest = "state=s&code=" + "a" * 8192
    assert (
        read(longest).code == "a" * 8192 and said(lambda: read(longest + "a"))[0] is InvalidCallback
    )
    assert read("state=s&code=c&pad=" + "a" * (16_384 - 19)).code == "c"
    assert (
        said(lambda: read("state=s&code=c&pad=" + "a" * (16_385 - 19)))[1]
        == "the query is longer than 16 kB"
    )


# -- tokens


def id_token(
    now: int = NOW, keys=None, access_token: str = "at", demand: Demand | None = None, **changes
):
    token = Signer().sign(id_token_claims(**changes))
    verified = verify_id_token(
        client(), token, access_token, pending().nonce, keys or key_set(), now
    )
    if demand is not None:
        demand.check(verified.acr, verified.auth_time, now, 60)
    return verified


def header(**changes):
    return verify_id_token(
        client(), Signer().sign(id_token_claims(), **changes), "at", pending().nonce, key_set(), NOW
    )


def compact(token: str):
    return verify_id_token(client(), token, "at", pending().nonce, key_set(), NOW)


@pytest.mark.parametrize(
    ("call", "check", "detail"),
    [
        (lambda: id_token(iss=EVIL), "issuer", "iss is not the issuer of the settings"),
        (lambda: id_token(auth_time=EVIL), "malformed", "auth_time is no number"),
        (lambda: id_token(nonce=EVIL), "nonce", "nonce is not the one that was sent"),
        (lambda: id_token(sub=EVIL + "\n"), "subject", "sub is missing, too long or no printable text"),
        (lambda: id_token(aud=EVIL), "audience", "aud is not this client alone"),
        (lambda: id_token(azp=EVIL), "audience", "azp is another client"),
        (lambda: id_token(exp=EVIL), "expired", "exp is missing or past"),
        (lambda: id_token(iat=EVIL), "issued_at", "iat is missing or in the future; check both clocks"),
        (lambda: id_token(iat=NOW - 3661), "issued_at", "iat is more than an hour ago"),
        (lambda: id_token(nbf=EVIL), "not_before", "nbf is in the future or no number"),
        (lambda: id_token(at_hash=EVIL), "at_hash", "at_hash is not of this access token"),
        (lambda: id_token(demand=Demand(max_age=60)), "auth_time", "auth_time is missing, although max_age was sent"),
        (lambda: id_token(auth_time=NOW + 61, demand=Demand(max_age=60)), "auth_time", "auth_time is in the future; check both clocks"),
        (lambda: header(alg=EVIL), "algorithm", "signed with another algorithm than RS256 (setting id_token_signed_response_alg)"),
        (lambda: header(crit=[EVIL]), "header", "a critical or unknown processing header"),
        (lambda: header(typ=EVIL), "type", "typ is of another kind of token"),
        (lambda: header(kid=[EVIL]), "key", "kid is no short text"),
        (lambda: header(kid="x" * 257), "key", "kid is no short text"),
        (lambda: compact("A" * 65_537), "malformed", "longer than 64 kB"),
        (lambda: compact("A" * 65_536), "malformed", "not three segments of base64url"),
        (lambda: compact(f"{b64encode(EVIL.encode())}.e30.e30"), "malformed", "the header is no JSON object"),
        (lambda: compact(Signer("RS256", "2").sign(id_token_claims(), kid="RS256-1")), "signature", "the signature or its payload is not right"),
    ],
)  # fmt: skip
def test_of_an_id_token(call, check, detail):
    with pytest.raises(InvalidIDToken) as caught:
        call()
    assert (caught.value.check, caught.value.detail) == (check, detail)


@pytest.mark.parametrize(
    ("call", "kind", "detail"),
    [
        (lambda: id_token(keys=key_set(public("ES256"))), UnknownKey, "no key of the set fits"),
        (lambda: compact(Signer().sign(id_token_claims(), kid=EVIL)), UnknownKey, "no key of the set fits"),
        (lambda: id_token(keys=key_set(public("RS256"), public("RS256"))), UnknownKey, "several keys fit and the token names none"),
        (lambda: id_token(auth_time=NOW - 121, demand=Demand(max_age=60)), AuthTimeTooOld, "auth_time is older than max_age: the provider did not ask the user again"),
        (lambda: id_token(demand=Demand(("gold",))), AcrNotSatisfied, "acr is missing"),
        (lambda: id_token(acr=EVIL, demand=Demand(("gold",))), AcrNotSatisfied, "acr is none of acr_values"),
        (lambda: KeySet.parse(EVIL.encode()), InvalidAnswer, "the key set is not JSON"),
        (lambda: KeySet.parse(b'{"keys":{}}'), InvalidAnswer, "the key set has no list of keys"),
    ],
)  # fmt: skip
def test_of_keys_and_of_what_an_application_demands(call, kind, detail):
    assert said(call) == (kind, detail)


@pytest.mark.parametrize(
    ("userinfo", "kind", "detail"),
    [
        (UserInfo("application/json", json.dumps({"sub": EVIL}).encode()), SubjectMismatch, "sub of UserInfo is not sub of the ID token"),
        (UserInfo("text/html", EVIL.encode()), InvalidUserInfo, "UserInfo is not JSON"),
        (UserInfo("text/html", b"[]"), InvalidUserInfo, "UserInfo is no JSON object"),
        (UserInfo("application/jwt", EVIL.encode()), InvalidUserInfo, "signed UserInfo: not three segments of base64url"),
        (UserInfo("application/jwt", Signer().sign({"iss": EVIL, "aud": "gateway", "sub": "alice"}).encode()), InvalidUserInfo, "signed UserInfo of another issuer or for another client"),
    ],
)  # fmt: skip
def test_of_userinfo(userinfo, kind, detail):
    assert said(lambda: claims_of(client(), id_token(), userinfo, key_set())) == (kind, detail)


def refreshed(**changes):
    token = Signer().sign(id_token_claims(**changes))
    return renewed(
        APP,
        replace(session(), auth_time=NOW),
        RefreshResponse("at2", token, None, 60),
        key_set(),
        NOW,
    )


def test_of_the_id_token_of_a_refresh():
    assert said(lambda: refreshed(sub=EVIL))[1] == "sub is not the user who signed in"
    assert said(lambda: refreshed(auth_time=NOW - 1))[1] == "auth_time is before the login"


# -- what the provider answers


def answer(kind=TokenResponse, **changes):
    right = {"access_token": "at", "id_token": "idt", "token_type": "Bearer", "expires_in": 60}
    return kind.parse(
        json.dumps(
            {name: value for name, value in (right | changes).items() if value is not None}
        ).encode()
    )


@pytest.mark.parametrize(
    ("call", "detail"),
    [
        (lambda: TokenResponse.parse(EVIL.encode()), "the token response is not JSON"),
        (lambda: answer(token_type=EVIL), "token_type is not Bearer"),
        (lambda: answer(access_token=None), "access_token is missing or no token"),
        (lambda: answer(access_token=EVIL + " "), "access_token is missing or no token"),
        (lambda: answer(id_token=None), "id_token is missing or no token"),
        (lambda: answer(id_token=["x"]), "id_token is missing or no token"),
        (lambda: answer(refresh_token=""), "refresh_token is missing or no token"),
        (lambda: answer(expires_in=EVIL), "expires_in is no number of seconds"),
        (lambda: answer(RefreshResponse, expires_in=-1), "expires_in is no number of seconds"),
    ],
)  # fmt: skip
def test_of_a_token_response(call, detail):
    assert said(call) == (InvalidTokenResponse, detail)


def test_a_right_token_response_is_read_whole():
    assert answer(refresh_token="rt") == TokenResponse("at", "idt", "rt", 60)
    assert answer(RefreshResponse, id_token=None, expires_in=0) == RefreshResponse(
        "at", None, None, 0
    )
    assert answer(expires_in=1e12).expires_in == 31_536_000


@pytest.mark.parametrize(
    ("body", "kind", "detail"),
    [
        (EVIL, InvalidTokenResponse, "an error answer without a JSON object"),
        ('{"error":"invalid_grant"}', CodeRefused, "invalid_grant"),
        ('{"error":"invalid_client"}', ClientRefused, "invalid_client"),
        ('{"error":"unauthorized_client"}', ClientRefused, "unauthorized_client"),
        ('{"error":"invalid_request"}', InvalidTokenResponse, "the token endpoint says invalid_request"),
        ('{"error":"unsupported_grant_type"}', InvalidTokenResponse, "the token endpoint says unsupported_grant_type"),
        ('{"error":"invalid_scope"}', InvalidTokenResponse, "the token endpoint says invalid_scope"),
        (json.dumps({"error": EVIL}), InvalidTokenResponse, "the token endpoint refuses with an error that is not registered"),
        ("{}", InvalidTokenResponse, "the token endpoint refuses with an error that is not registered"),
    ],
)  # fmt: skip
def test_of_an_error_of_the_token_endpoint(body, kind, detail):
    error = token_error(body.encode())
    assert (type(error), error.detail) == (kind, detail)


def metadata(body: str | None = None, **changes):
    right = {
        "issuer": ISSUER,
        "authorization_endpoint": ISSUER + "/auth",
        "token_endpoint": ISSUER + "/token",
        "jwks_uri": ISSUER + "/jwks",
        "code_challenge_methods_supported": ["S256"],
    }
    document = {name: value for name, value in (right | changes).items() if value is not None}
    return ProviderMetadata.parse((body or json.dumps(document)).encode(), ISSUER)


@pytest.mark.parametrize(
    ("call", "detail"),
    [
        (lambda: metadata(EVIL), "the discovery document is not JSON"),
        (lambda: metadata(issuer=EVIL), "the discovery document names another issuer than the settings (compared byte for byte)"),
        (lambda: metadata(code_challenge_methods_supported=[EVIL]), "code_challenge_methods_supported lacks S256"),
        (lambda: metadata(jwks_uri=None), "the discovery document has no jwks_uri"),
        (lambda: metadata(token_endpoint=[EVIL]), "token_endpoint is no URL"),
        (lambda: metadata(token_endpoint="https://idp.example/" + "x" * 2048), "token_endpoint has no character, or more than 2048"),
        (lambda: metadata(authorization_endpoint="javascript:evil"), "authorization_endpoint does not begin with https:// or http://"),
        (lambda: metadata(authorization_endpoint="http://idp.example/"), "authorization_endpoint is neither https nor http on loopback (or below backchannel_url)"),
    ],
)  # fmt: skip
def test_of_a_discovery_document(call, detail):
    assert said(call) == (InvalidMetadata, detail)


# -- logout that the provider starts


def logout_token(**changes):
    right = {
        "iss": ISSUER, "aud": "gateway", "iat": NOW, "exp": NOW + 60, "jti": "j", "sub": "alice", "sid": "s", "events": {EVENT: {}},
    }  # fmt: skip
    claims = {name: value for name, value in (right | changes).items() if value is not None}
    return verify_logout_token(client(), Signer().sign(claims), key_set(), NOW)


@pytest.mark.parametrize(
    ("changes", "check", "detail"),
    [
        ({"iss": EVIL}, "issuer", "iss is not the issuer of the settings"),
        ({"aud": EVIL}, "audience", "aud is not this client alone"),
        ({"exp": None}, "expired", "exp is missing or past"),
        ({"events": {EVIL: {}}}, "events", "events has no object for a back-channel logout"),
        ({"nonce": EVIL}, "nonce", "there is a nonce: an ID token is no logout token"),
        ({"jti": None}, "jti", "jti is missing, too long or no text"),
        ({"jti": "x" * 1025}, "jti", "jti is missing, too long or no text"),
        ({"sid": [EVIL]}, "sid", "sid is too long or no text"),
        ({"sid": None, "sub": None}, "subject", "neither sub nor sid"),
        ({"sub": [EVIL]}, "subject", "sub is missing, too long or no printable text"),
    ],
)
def test_of_a_logout_token(changes, check, detail):
    with pytest.raises(InvalidLogoutToken) as caught:
        logout_token(**changes)
    assert (caught.value.check, caught.value.detail) == (check, detail)


def to_back_channel(**how):
    return back_channel(APP, request("/oauth2/backchannel-logout", **{"method": "POST", **how}))


def framed(query: str, **how):
    return decide(APP, request("/oauth2/frontchannel-logout?" + query, **how), None, NOW)


ONE_OF_EACH = "one iss and one sid are needed (register frontchannel_logout_session_required)"


@pytest.mark.parametrize(
    ("call", "kind", "detail"),
    [
        (lambda: to_back_channel(method="GET"), MethodNotAllowed, "POST"),
        (lambda: to_back_channel(content_type=EVIL), InvalidLogout, "the content type is not application/x-www-form-urlencoded"),
        (lambda: posted(b"\xff"), InvalidLogout, "the body is no form"),
        (lambda: posted(b"&".join([b"a=1"] * 65)), InvalidLogout, "the body is no form"),
        (lambda: posted(EVIL.encode()), InvalidLogout, "one logout_token is needed"),
        (lambda: posted(b"logout_token=&logout_token=x"), InvalidLogout, "one logout_token is needed"),
        (lambda: framed("", method="POST"), MethodNotAllowed, "GET"),
        (lambda: framed("iss=%FF"), InvalidLogout, "the query is too long, or no UTF-8"),
        (lambda: framed("&".join(["a=1"] * 65)), InvalidLogout, "the query is too long, or no UTF-8"),
        (lambda: framed(f"iss={ISSUER}"), InvalidLogout, ONE_OF_EACH),
        (lambda: framed(f"iss={ISSUER}&iss=&sid=s"), InvalidLogout, ONE_OF_EACH),
        (lambda: framed(f"iss={ISSUER}&sid=s&sid="), InvalidLogout, ONE_OF_EACH),
        (lambda: framed(f"iss={ISSUER}&sid="), InvalidLogout, ONE_OF_EACH),
        (lambda: framed(f"iss={EVIL}&sid=s"), InvalidLogout, "iss is another issuer"),
    ],
)  # fmt: skip
def test_of_a_logout_request(call, kind, detail):
    assert said(call) == (kind, detail)


# -- the rest


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("callback", "GET"),
        ("login", "GET, HEAD"),
        ("logout", "GET, POST"),
        ("userinfo", "GET, HEAD"),
        ("sessions", "GET, HEAD, POST"),
    ],
)
def test_of_a_method_that_an_endpoint_has_not(path, allowed):
    assert said(lambda: decide(APP, request("/oauth2/" + path, method="DELETE"), None, NOW)) == (
        MethodNotAllowed,
        allowed,
    )


@pytest.mark.parametrize(
    ("call", "detail"),
    [
        (lambda: parse_object('{"a":1,"a":2}'), "a key stands twice"),
        (lambda: parse_object('{"a":NaN}'), "NaN and Infinity are no JSON"),
        (lambda: parse_object(EVIL), "not JSON"),
        (lambda: parse_object("[]"), "no JSON object"),
        (lambda: b64decode(EVIL), "not base64url"),
        (lambda: b64decode("AAAAA"), "not base64url"),
        (lambda: b64decode("AB"), "not canonical base64url"),
        (lambda: KeyRing.of([]), "a key ring has at least one secret"),
        (lambda: RING.seal(b"", Label("a", "b"), b"short"), "sealing takes 44 random bytes"),
        (lambda: SessionId.of(b"short"), "a session id is 32 random bytes"),
    ],
)
def test_of_values(call, detail):
    assert said(call) == (ValueError, detail)


def test_of_identity_headers_that_no_application_could_take():
    """They are made anew for each request that the processor decides: a provider that says very
    much about a user would stall it.
    """
    for size, fits in (
        (MAX_IDENTITY - len("x-auth-sub") - len("alice") - len("x-auth-email"), True),
        (MAX_IDENTITY, False),
    ):
        one = session(claims=Claims({"sub": "alice", "email": "x" * size}))
        for keep in (
            lambda one=one: to_record(APP, one, Device(), ENTROPY_BYTES * 2),
            lambda one=one: session_cookies(APP, request(), one, NOW, ENTROPY_BYTES),
        ):
            if fits:
                keep()
            else:
                kind, detail = said(keep)
                assert kind is SessionTooLarge and detail.startswith(
                    "the identity headers would have "
                )
                assert (
                    f"; {MAX_IDENTITY} are allowed: name fewer claims in identity.headers" in detail
                )


def test_of_a_session_that_is_too_large():
    huge = session(subject="a" * MAX_SEALED)
    assert said(lambda: session_cookies(APP, request(), huge, NOW, ENTROPY_BYTES))[1].endswith(
        f"bytes; {MAX_SEALED} are allowed"
    )
    kind, detail = said(lambda: to_record(APP, huge, Device(), ENTROPY_BYTES * 2))
    assert (
        kind is SessionTooLarge
        and detail.startswith("the session would take ")
        and detail.endswith(f"; {MAX_SEALED} are allowed")
    )
    kind, detail = said(
        lambda: session_cookies(APP, request(), session(16_000), NOW, ENTROPY_BYTES)
    )
    assert detail.startswith("the session has ")
    assert detail.endswith(
        " bytes sealed, more than 4 cookies of 3800; set store.kind to sqlite or redis"
    )


def test_a_refusal_without_a_detail_is_called_by_its_reason():
    assert str(LoginRequired()) == "login_required" and LoginRequired().detail == ""


def test_the_login_cookie_has_the_attributes_of_all_and_outlives_its_attempt():
    cookie = login_cookie(APP, pending(APP), ENTROPY_BYTES)
    assert (cookie.secure, cookie.max_age) == (True, 7200)
