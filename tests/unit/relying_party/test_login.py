"""The start of a login, and the callback: what is kept, what is revoked, and what is refused."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
import trio
import trio.testing
from harness.memory_peers import MemoryProvider, MemoryStore
from harness.tokens import (
    ISSUER,
    METADATA,
    NOW,
    application,
    cookie_header,
    key_set,
    pending,
    public,
    request,
)

from extproc.core.decisions import RedeemCode, StartLogin
from extproc.core.errors import IssuerMismatch, LoginReused, ProviderRefused, StoreUnavailable
from extproc.core.login import pending_of
from extproc.core.oidc.authorization import AuthorizationResponse
from extproc.core.provider_errors import InvalidTokenResponse, ProviderUnreachable
from extproc.relying_party.login import CodeRedemption, start_login
from extproc.sessions.stored import StoredSessions

APP = application()
PENDING = pending()
STEP = RedeemCode(AuthorizationResponse(PENDING.state, "code", None, ISSUER), PENDING, None)


class House:
    """A provider and a store in memory, and a clock."""

    def __init__(self) -> None:
        self.provider, self.store, self.now = MemoryProvider(), MemoryStore(), NOW
        self.sessions = StoredSessions(self.store)
        self.redemption = CodeRedemption(self.sessions, lambda: self.now, trusted_hops=0)

    async def redeem(self, step: RedeemCode = STEP, asked=None):
        return await self.redemption.redeem(APP, self.provider, asked or request(), step)

    async def kept(self, answer):
        """The session whose cookies an answer has."""
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in answer.cookies)
        return await self.sessions.find(APP, request(cookie=cookies), self.now)


@pytest.fixture
def house() -> House:
    return House()


def test_a_login_starts_at_the_provider_with_a_cookie_that_its_callback_opens() -> None:
    stale = APP.cookies.expired("stale")
    step = StartLogin("/wanted?a=1", (stale,))
    answer = start_login(APP, request(), step, METADATA, NOW)
    assert (answer.status, answer.reason) == (303, "login_started")
    query = parse_qs(urlsplit(answer.location).query)
    assert answer.location.startswith(METADATA.authorization_endpoint + "?")
    cookie, *others = answer.cookies
    assert others == [stale]
    returned = request(cookie=f"{cookie.name}={cookie.value}")
    kept = pending_of(APP, returned, query["state"][0])
    assert (kept.return_to, kept.created, kept.nonce) == ("/wanted?a=1", NOW, query["nonce"][0])


def test_no_two_logins_have_a_secret_in_common() -> None:
    first, second = (
        start_login(APP, request(), StartLogin("/"), METADATA, NOW).cookies[0] for _ in range(2)
    )
    assert first.name != second.name


def test_a_cookie_that_the_step_expires_is_not_expired_twice() -> None:
    name = APP.cookies.login("0123abcd")
    broken = request(cookie=f"{name}=broken")
    for expired in ((), (APP.cookies.expired(name),)):
        cookies = start_login(APP, broken, StartLogin("/", expired), METADATA, NOW).cookies
        assert [cookie.name for cookie in cookies[1:]] == [name]


async def test_a_code_becomes_a_session_and_the_browser_goes_where_it_was_going(house) -> None:
    house.now = NOW + 5
    answer = await house.redeem()
    assert (answer.status, answer.reason) == (303, "signed_in")
    assert answer.location == "https://app.example/wanted?a=1"
    names = {cookie.name: cookie for cookie in answer.cookies}
    assert names[APP.cookies.session].value and names[APP.cookies.assertion].value
    assert names[APP.cookies.login(PENDING.attempt)].max_age == 0
    session = await house.kept(answer)
    assert (session.subject, session.created, session.refresh_token) == ("alice", NOW + 5, "rt1")
    assert house.provider.good == {"rt1"} and house.provider.redeemed == ["code"]


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (replace(STEP.response, iss="https://evil.example"), IssuerMismatch),
        (replace(STEP.response, code=None, error="access_denied"), ProviderRefused),
        (replace(STEP.response, code=None, error="x", iss="https://evil.example"), IssuerMismatch),
    ],
)
async def test_a_response_that_is_refused_is_never_redeemed(house, response, error) -> None:
    with pytest.raises(error):
        await house.redeem(replace(STEP, response=response))
    assert not house.provider.redeemed and not house.store.records


async def test_a_callback_comes_once(house) -> None:
    await house.redeem()
    house.provider.codes.add("code")
    with pytest.raises(LoginReused):
        await house.redeem()
    assert house.provider.redeemed == ["code"]


EXPIRED = replace(
    STEP.response, code=None, error="temporarily_unavailable", authentication_expired=True
)


async def test_a_login_that_expired_at_the_provider_is_started_again_once(house) -> None:
    answer = await house.redeem(replace(STEP, response=EXPIRED))
    assert (answer.status, answer.reason) == (303, "login_started")
    cookie, spent = answer.cookies
    assert spent == APP.cookies.expired(APP.cookies.login(PENDING.attempt))
    state = parse_qs(urlsplit(answer.location).query)["state"][0]
    again = pending_of(APP, request(cookie=f"{cookie.name}={cookie.value}"), state)
    assert (again.return_to, again.restarted) == (PENDING.return_to, True)
    with pytest.raises(ProviderRefused):
        await house.redeem(RedeemCode(replace(EXPIRED, state=state), again, None))
    # a copy of the callback starts no login
    with pytest.raises(LoginReused):
        await house.redeem(replace(STEP, response=EXPIRED))


async def test_a_login_that_expired_is_no_error_for_a_user_who_signed_in_elsewhere(house) -> None:
    signed_in = await house.kept(await house.redeem())
    other = pending(secret=b"o" * 32, return_to="/other")
    for restarted in (False, True):
        step = RedeemCode(EXPIRED, replace(other, restarted=restarted), signed_in)
        house.store.claims.clear()
        answer = await house.redeem(step)
        assert (answer.reason, answer.location) == (
            "login_not_needed",
            "https://app.example/other",
        )
        assert answer.cookies == (APP.cookies.expired(APP.cookies.login(other.attempt)),)
    late = replace(signed_in, expires=signed_in.expires)
    with pytest.raises(ProviderRefused):
        await house.redeem(
            RedeemCode(
                replace(EXPIRED, authentication_expired=False), pending(secret=b"x" * 32), late
            )
        )


async def test_a_callback_that_comes_again_is_no_error_for_its_user(house) -> None:
    signed_in = await house.kept(await house.redeem())
    answer = await house.redeem(replace(STEP, signed_in=signed_in))
    assert (answer.reason, answer.location) == (
        "login_not_needed",
        "https://app.example/wanted?a=1",
    )
    assert house.provider.redeemed == ["code"] and await house.kept(answer) is None


async def test_a_provider_that_is_away_costs_no_login(house) -> None:
    house.provider.known = False

    def away(operation: str, when: str) -> None:
        raise ProviderUnreachable(operation)

    house.provider.met = away
    with pytest.raises(ProviderUnreachable, match="metadata"):
        await house.redeem()
    assert not house.store.claims


async def test_a_key_that_is_not_known_yet_is_looked_for(house) -> None:
    house.provider.held_keys = key_set(public("RS256", "old"))
    assert (await house.redeem()).reason == "signed_in"


async def test_a_key_that_was_replaced_under_its_kid_is_looked_for(house) -> None:
    house.provider.held_keys = key_set(public("RS256", "old", kid="RS256-1"))
    assert (await house.redeem()).reason == "signed_in"


@pytest.mark.parametrize(
    ("tokens", "left"),
    [
        ((("access_token", "at1"), ("refresh_token", "rt1")), {"at1"}),
        ((("access_token", "at1"),), {"rt1"}),
        ((("refresh_token", "rt1"), ("refresh_token", "at1")), set()),
        ((), {"at1", "rt1"}),
    ],
)
async def test_the_tokens_of_a_response_that_is_refused_are_revoked(house, tokens, left) -> None:
    def refused(operation: str, when: str) -> None:
        if (operation, when) == ("token", "after"):
            house.provider.good = {"at1", "rt1"}
            raise InvalidTokenResponse("token_type is not Bearer", tokens)

    house.provider.met = refused
    with pytest.raises(InvalidTokenResponse):
        await house.redeem()
    assert house.provider.good == left and not house.store.records


@pytest.mark.parametrize("operation", ["keys", "userinfo"])
async def test_tokens_that_lead_to_no_session_are_revoked(house, operation) -> None:
    def fails(here: str, when: str) -> None:
        if here == operation:
            raise ProviderUnreachable(here)

    house.provider.met = fails
    with pytest.raises(ProviderUnreachable):
        await house.redeem()
    assert house.provider.redeemed == ["code"] and not house.provider.good
    assert not house.store.records


async def test_tokens_of_a_client_that_leaves_before_its_session_is_kept_are_revoked(house) -> None:
    async with trio.open_nursery() as nursery:

        def leaves(operation: str, when: str) -> None:
            if operation == "userinfo":
                nursery.cancel_scope.cancel()

        house.provider.met = leaves
        nursery.start_soon(house.redeem)
    assert house.provider.redeemed == ["code"] and not house.provider.good
    assert not house.store.records


async def test_a_client_that_leaves_while_the_code_is_redeemed_does_not_stop_that(house) -> None:
    async with trio.open_nursery() as nursery:

        def leaves(operation: str, when: str) -> None:
            if (operation, when) == ("token", "before"):
                nursery.cancel_scope.cancel()

        house.provider.met = leaves
        nursery.start_soon(house.redeem)
    assert house.provider.redeemed == ["code"] and not house.provider.good


async def test_a_session_is_dated_by_its_callback_however_slow_the_provider_is(house) -> None:
    def slow(operation: str, when: str) -> None:
        if (operation, when) == ("token", "after"):
            house.now = NOW + 60

    house.provider.met = slow
    answer = await house.redeem()
    session = await house.kept(answer)
    assert (session.created, session.expires) == (NOW, NOW + APP.session_lifetime)


async def test_of_two_logins_of_one_browser_the_one_that_ends_later_is_overtaken(house) -> None:
    other = pending(APP, secret=b"o" * 32)
    asked = request(cookie=cookie_header(APP, PENDING, other))

    def meanwhile(operation: str, when: str) -> None:
        if (operation, when) == ("token", "before"):
            house.store.graves[PENDING.settled_key] = NOW  # as the other login leaves it

    house.provider.met = meanwhile
    answer = await house.redeem(asked=asked)
    assert (answer.status, answer.reason) == (303, "overtaken")
    assert answer.location == "https://app.example/wanted?a=1"
    assert not house.store.records
    # revoking them would end the faster login's tokens at many providers
    assert house.provider.good == {"rt1"}


async def test_a_store_that_fails_after_the_session_is_kept_fails_no_login(house, caplog) -> None:
    other = pending(APP, secret=b"o" * 32)
    asked = request(cookie=cookie_header(APP, PENDING, other))
    kept: list[bool] = []

    def fails(operation: str, when: str) -> None:
        if operation == "put" and when == "after":
            kept.append(True)
        elif kept and operation == "bury":
            raise StoreUnavailable("away")

    house.store.met = fails
    assert (await house.redeem(asked=asked)).reason == "signed_in"
    assert "others_not_overtaken" in [record.getMessage() for record in caplog.records]
