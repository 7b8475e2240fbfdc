"""Access tokens of API callers at a real server: what is remembered, asked, and refused."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import trio
from harness.fake_provider import FakeProvider
from harness.tokens import (
    API,
    NOW,
    Signer,
    access_token_claims,
    application,
    id_token_claims,
    public,
    request,
    token_profile,
)

from extproc.core.bearer_access import BearerAccess
from extproc.core.bearer_errors import BearerKeyPending, InvalidAccessToken, TooManyIntrospections
from extproc.core.encoding import b64encode
from extproc.core.oidc.access_token import MAX_ACCESS_TOKEN, AccessToken
from extproc.core.oidc.introspection import UNKNOWN_LIFE
from extproc.core.oidc.jose import MAX_VALUES
from extproc.core.provider_errors import (
    ClientRefused,
    InvalidAnswer,
    ProviderFailed,
    ProviderTimeout,
)
from extproc.provider.client import Provider
from extproc.relying_party.access_tokens import (
    COUNTS,
    INACTIVE,
    REFUSED,
    WAIT_FOR_KEYS,
    AccessTokens,
)
from extproc.settings import Limits, ProviderSettings, Timeouts

JSON = {"content-type": "application/json"}
OTHER_ISSUER = "https://other.example"


@pytest.fixture
def liar() -> Iterator[FakeProvider]:
    liar = FakeProvider(behind=False)
    liar.start()
    yield liar
    liar.close()


@dataclass
class House:
    """Access tokens of the provider `main`, which is real, at the applications app and wiki."""

    liar: FakeProvider
    provider: Provider
    wall: list[float] = field(default_factory=lambda: [float(NOW)])
    steady: list[float] = field(default_factory=lambda: [1000.0])

    def __post_init__(self) -> None:
        self.tokens = AccessTokens(
            {"main": self.provider}, lambda: self.wall[0], 0, lambda: self.steady[0]
        )
        profile = token_profile(issuer=self.liar.url)
        wiki = replace(profile, audiences=frozenset({"https://wiki.example"}))
        self.app = application(bearer=BearerAccess((profile,), profile))
        self.wiki = application(name="wiki", bearer=BearerAccess((wiki,), wiki))
        self.both = application(
            name="both", bearer=BearerAccess((profile, token_profile(issuer=OTHER_ISSUER)))
        )
        self.liar.answers["/introspect"] = lambda asked: (200, JSON, json.dumps(self.says).encode())
        self.says: Any = {"active": True, "aud": API, "sub": "alice", "exp": NOW + 300}

    def passes(self, seconds: float) -> None:
        self.wall[0] += seconds
        self.steady[0] += seconds

    def jwt(self, signer: Signer | None = None, **changes: Any) -> str:
        claims = access_token_claims(iss=self.liar.url) | changes
        return (signer or Signer()).sign(claims, typ="at+jwt")

    def known(self, token: str, app: Any = None) -> AccessToken | None:
        return self.tokens.known(app or self.app, token, self.wall[0])

    async def verify(self, token: str, app: Any = None, address: str = "192.0.2.1") -> AccessToken:
        sender = request(x_forwarded_for=address)
        return await self.tokens.verify(app or self.app, sender, token)

    async def refused(self, token: str, app: Any = None, address: str = "192.0.2.1") -> str:
        with pytest.raises(InvalidAccessToken) as caught:
            await self.verify(token, app, address)
        return caught.value.check

    def asked(self) -> int:
        return len(self.liar.requests_to("/introspect"))

    def fetched(self) -> int:
        return len(self.liar.requests_to("/jwks"))


@pytest.fixture
async def house(liar: FakeProvider) -> AsyncIterator[House]:
    settings = ProviderSettings(issuer=liar.url, client_id="gateway")
    provider = Provider("main", settings, Timeouts(call=5), Limits())
    yield House(liar, provider)
    await provider.aclose()


def refused_at_once(house: House, token: str, app: Any = None) -> str:
    with pytest.raises(InvalidAccessToken) as caught:
        house.known(token, app)
    return caught.value.check


# -- JWTs ------------------------------------------------------------------------------------------


async def test_a_jwt_needs_a_step_only_until_the_keys_are_there(house):
    token = house.jwt()
    assert house.known(token) is None
    assert (await house.verify(token)).subject == "alice"
    assert house.known(token) is house.known(token) is not None
    assert house.known(house.jwt(sub="bob")).subject == "bob"
    assert house.fetched() == 1 and house.asked() == 0


async def test_a_jwt_that_fails_is_never_introspected_and_needs_no_keys(house):
    for changes, check in (
        ({"aud": "https://other.example"}, "audience"),
        ({"iss": OTHER_ISSUER}, "issuer"),
        ({"exp": NOW - 61}, "expired"),
        ({"nonce": "n"}, "id_token"),
        ({"cnf": {"jkt": "x"}}, "sender_constrained"),
        ({"typ": "ID"}, "type"),
    ):
        assert refused_at_once(house, house.jwt(**changes)) == check
        assert await house.refused(house.jwt(**changes)) == check
    id_token = Signer().sign(id_token_claims(iss=house.liar.url))
    assert await house.refused(id_token) == "type"
    assert await house.refused("eyJhbGciOiJub25lIn0.e30.") == "issuer"
    assert house.liar.requests == []


async def test_a_verification_counts_for_a_minute_and_no_longer(house):
    token = house.jwt()
    verified = await house.verify(token)
    house.passes(COUNTS - 1)
    assert house.known(token) is verified
    house.passes(1)
    again = house.known(token)
    assert again == verified and again is not verified


@pytest.mark.parametrize("step", [-10_000, 10_000])
async def test_a_clock_that_steps_makes_no_token_last_longer(house, step):
    token = house.jwt(exp=NOW + 30)
    await house.verify(token)
    house.wall[0] += step
    if step > 0:
        assert refused_at_once(house, token) == "expired"
        return
    house.steady[0] += COUNTS
    # It is verified anew, and was issued in the future by now.
    assert refused_at_once(house, token) == "issued_at"


async def test_an_expired_token_is_refused_although_it_is_remembered(house):
    token = house.jwt(exp=NOW + 10)
    await house.verify(token)
    house.passes(COUNTS - 1 + 10)
    assert refused_at_once(house, house.jwt(exp=NOW + 8)) == "expired"
    house.passes(1)
    assert refused_at_once(house, token) == "expired"


async def test_a_token_of_one_application_says_nothing_at_another(house):
    token = house.jwt()
    await house.verify(token)
    assert refused_at_once(house, token, house.wiki) == "audience"
    theirs = house.jwt(aud="https://wiki.example")
    assert refused_at_once(house, theirs) == "audience"
    assert house.known(theirs, house.wiki).subject == "alice"
    assert refused_at_once(house, theirs) == "audience"


async def test_a_profile_is_that_of_the_issuer_and_no_other(house):
    await house.verify(house.jwt())
    assert house.known(house.jwt(), house.both).profile.issuer == house.liar.url
    none = application(name="none")
    assert refused_at_once(house, house.jwt(), none) == "issuer"
    assert refused_at_once(house, "opaque", none) == "opaque"
    assert refused_at_once(house, "opaque", house.both) == "opaque"


async def test_made_up_keys_cost_one_fetch_and_few_wait_for_it(house):
    await house.verify(house.jwt())
    forged = [house.jwt(Signer("RS256", "attacker"), jti=str(number)) for number in range(20)]
    assert all(house.known(token) is None for token in forged)
    ends: list[str] = []

    async def one(token: str) -> None:
        try:
            await house.verify(token)
        except (InvalidAccessToken, BearerKeyPending) as error:
            ends.append(error.reason)

    async with trio.open_nursery() as nursery:
        with house.liar.holding("/jwks"):
            for token in forged:
                nursery.start_soon(one, token)
            await until(lambda: house.liar.held == 1)
            assert ends == ["bearer_token_key_pending"] * (len(forged) - WAIT_FOR_KEYS)
            # A token of a known key does not wait for it.
            assert house.known(house.jwt(sub="bob")).subject == "bob"
    assert len(ends) == len(forged) and "bearer_token_key" in ends and house.fetched() == 2
    # Those that waited have given their places back, and no fetch is due.
    await one(house.jwt(Signer("RS256", "attacker"), jti="last"))
    assert ends[-1] == "bearer_token_key_pending" and house.fetched() == 2


async def test_a_new_key_is_found_at_once(house):
    await house.verify(house.jwt())
    house.liar.keys.append(public("RS256", "2"))
    token = house.jwt(Signer("RS256", "2"))
    assert house.known(token) is None
    assert (await house.verify(token)).subject == "alice"
    assert house.known(token).subject == "alice" and house.fetched() == 2
    with pytest.raises(BearerKeyPending):
        await house.verify(house.jwt(Signer("RS256", "attacker")))
    assert house.fetched() == 2
    # What a stranger spends of the fetches is no logout's or login's.
    assert (await house.provider.newer_keys_for_logout()).certain
    await house.provider.newer_keys()
    assert house.fetched() == 4


async def test_a_key_that_was_replaced_under_its_kid_is_found(house):
    await house.verify(house.jwt())
    house.liar.keys[:] = [public("RS256", "2", kid="RS256-1")]
    claims = access_token_claims(iss=house.liar.url)
    token = Signer("RS256", "2").sign(claims, typ="at+jwt", kid="RS256-1")
    assert house.known(token) is None
    assert (await house.verify(token)).subject == "alice"


async def test_what_the_newest_keys_have_not_signed_is_refused_without_another_look(house):
    await house.verify(house.jwt())
    forged = house.jwt(Signer("RS256", "attacker"))
    assert await house.refused(forged) == "key"
    assert refused_at_once(house, forged) == "key"
    house.passes(REFUSED)
    assert house.known(forged) is None
    assert house.fetched() == 2


async def test_without_keys_all_wait_for_the_one_fetch(house):
    tokens = [house.jwt(sub=f"user-{number}") for number in range(WAIT_FOR_KEYS + 5)]
    subjects: list[str] = []

    async def one(token: str) -> None:
        subjects.append((await house.verify(token)).subject)

    async with trio.open_nursery() as nursery:
        for token in tokens:
            nursery.start_soon(one, token)
    assert len(subjects) == len(tokens) and house.fetched() == 1
    assert house.known(house.jwt(Signer("RS256", "attacker"))) is None


async def test_a_token_of_more_than_16_kb_is_refused_before_it_is_looked_at(house):
    for token in ("x" * (MAX_ACCESS_TOKEN + 1), "." * 1_000_000, house.jwt(pad="x" * 60_000)):
        assert refused_at_once(house, token) == "malformed"
    assert house.known("x" * MAX_ACCESS_TOKEN) is None


@pytest.mark.parametrize("many", [[[]], [{}], [1e5], [""], [{"a": 1}]])
async def test_a_jwt_of_very_many_small_values_is_refused_before_it_is_read(house, many):
    values = many * (MAX_VALUES + 1)
    head = b64encode(json.dumps({"alg": "RS256", "x": values}, separators=(",", ":")).encode())
    for token in (house.jwt(x=values), f"{head}.e30.x"):
        assert len(token) < MAX_ACCESS_TOKEN and refused_at_once(house, token) == "malformed"
    await house.verify(house.jwt(groups=["g"] * (MAX_VALUES - 20)))
    assert house.asked() == 0


# -- opaque tokens ---------------------------------------------------------------------------------


async def test_an_opaque_token_is_introspected_once_in_a_minute(house):
    assert house.known("opaque") is None
    verified = await house.verify("opaque")
    assert (verified.subject, verified.expires_at) == ("alice", NOW + 300)
    assert house.known("opaque") is verified and await house.verify("opaque") is verified
    (asked,) = house.liar.requests_to("/introspect")
    assert asked.form == {"token": "opaque", "token_type_hint": "access_token"}
    assert asked.headers["authorization"] == "Basic aW50cm9zcGVjdG9yOnMzY3JldA=="
    house.passes(COUNTS)
    assert house.known("opaque") is None
    await house.verify("opaque")
    assert house.asked() == 2


async def test_what_a_token_without_exp_began_goes_on_although_the_answer_is_old(house):
    house.says = {"active": True, "aud": API, "sub": "alice"}
    await house.verify("opaque")
    house.passes(COUNTS - 1)
    left = house.known("opaque").expires_at - house.wall[0]
    assert left == UNKNOWN_LIFE - (COUNTS - 1) > 600
    house.passes(1)
    assert house.known("opaque") is None


async def test_a_revoked_token_counts_for_a_minute_at_most(house):
    await house.verify("opaque")
    house.says = {"active": False}
    house.passes(COUNTS - 1)
    assert (await house.verify("opaque")).subject == "alice"
    house.passes(1)
    assert await house.refused("opaque") == "inactive"


async def test_a_refusal_counts_for_ten_seconds(house):
    house.says = {"active": False}
    assert await house.refused("opaque") == "inactive"
    house.says = {"active": True, "aud": API}
    house.passes(REFUSED - 1)
    assert refused_at_once(house, "opaque") == "inactive"
    house.passes(1)
    assert (await house.verify("opaque")).subject == ""
    assert house.asked() == 2


async def test_what_one_application_may_use_is_asked_anew_for_another(house):
    await house.verify("opaque")
    assert house.known("opaque", house.wiki) is None
    assert await house.refused("opaque", house.wiki) == "audience"
    assert house.known("opaque").subject == "alice"
    assert house.asked() == 2


async def test_requests_with_one_token_share_one_introspection(house):
    found: list[AccessToken] = []

    async def one() -> None:
        found.append(await house.verify("opaque"))

    async with trio.open_nursery() as nursery:
        with house.liar.holding("/introspect"):
            for _ in range(10):
                nursery.start_soon(one)
            await until(lambda: house.asked() == 1)
    assert len(found) == 10 and len({id(token) for token in found}) == 1 and house.asked() == 1


async def test_a_refusal_is_shared_as_well(house):
    house.says = {"active": False}
    ends: list[str] = []

    async def one() -> None:
        ends.append(await house.refused("opaque"))

    async with trio.open_nursery() as nursery:
        with house.liar.holding("/introspect"):
            for _ in range(3):
                nursery.start_soon(one)
            await until(lambda: house.asked() == 1)
    assert ends == ["inactive"] * 3 and house.asked() == 1


async def test_an_introspection_goes_on_for_others_when_its_client_leaves(house):
    found: list[AccessToken] = []

    async def other() -> None:
        found.append(await house.verify("opaque"))

    leaves = trio.CancelScope()

    async def first() -> None:
        with leaves:
            await house.verify("opaque")

    async with trio.open_nursery() as nursery:
        with house.liar.holding("/introspect"):
            nursery.start_soon(first)
            await until(lambda: house.asked() == 1)
            nursery.start_soon(other)
            leaves.cancel()
    assert [token.subject for token in found] == ["alice"] and house.asked() == 1


async def test_who_waits_for_an_introspection_that_takes_too_long_gets_an_answer(house):
    ends: list[type[BaseException]] = []

    async def first() -> None:
        # by time: the deadline of this request is what the other one must not wait beyond
        with pytest.raises(trio.TooSlowError), trio.fail_after(2):
            await house.verify("opaque")

    async def other() -> None:
        try:
            await house.verify("opaque")
        except ProviderTimeout as error:
            ends.append(type(error))

    async with trio.open_nursery() as nursery:
        with house.liar.holding("/introspect"):
            nursery.start_soon(first)
            await until(lambda: house.asked() == 1)
            nursery.start_soon(other)
            await until(lambda: bool(ends))
    assert ends == [ProviderTimeout]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((200, {"content-type": "text/html"}, b"<html>"), InvalidAnswer),
        ((200, JSON, b"[]"), InvalidAnswer),
        ((200, JSON, b" " * 65_537), InvalidAnswer),
        ((302, {"location": "/elsewhere"}, b""), InvalidAnswer),
        ((401, {}, b""), ClientRefused),
        ((503, {}, b""), ProviderFailed),
    ],
)
async def test_a_providers_fault_is_not_the_tokens_and_is_not_remembered(house, answer, error):
    right = house.liar.answers["/introspect"]
    house.liar.answers["/introspect"] = lambda asked: answer
    for _ in range(INACTIVE + 1):
        with pytest.raises(error):
            await house.verify("opaque")
    house.liar.answers["/introspect"] = right
    assert (await house.verify("opaque")).subject == "alice"


async def test_what_a_provider_answers_400_to_is_no_active_token(house):
    error = b'{"error":"invalid_request"}'
    house.liar.answers["/introspect"] = lambda asked: (400, JSON, error)
    for number in range(INACTIVE):
        assert await house.refused(f"made-up-{number}") == "inactive"
    assert refused_at_once(house, "made-up-0") == "inactive"
    with pytest.raises(TooManyIntrospections):
        await house.verify("another")


async def test_an_address_has_so_many_tokens_that_are_not_active_in_a_minute(house):
    house.says = {"active": False}
    for number in range(INACTIVE):
        assert await house.refused(f"made-up-{number}") == "inactive"
    with pytest.raises(TooManyIntrospections):
        await house.verify("another")
    assert house.asked() == INACTIVE
    # The same token from elsewhere is asked about, and what is remembered needs no asking.
    assert await house.refused("another", address="192.0.2.2") == "inactive"
    assert await house.refused("another") == "inactive"
    house.says = {"active": True, "aud": API}
    house.passes(60)
    assert (await house.verify("right")).claims.values == {}


async def test_active_tokens_of_one_address_are_without_number(house):
    for number in range(INACTIVE + 5):
        await house.verify(f"right-{number}")
    assert house.asked() == INACTIVE + 5


async def test_a_caller_whose_token_was_active_is_not_locked_out_by_others_of_its_address(house):
    await house.verify("right")
    house.passes(COUNTS)
    right, house.says = house.says, {"active": False}
    for number in range(INACTIVE):
        await house.refused(f"made-up-{number}")
    house.says = right
    assert (await house.verify("right")).subject == "alice"
    with pytest.raises(TooManyIntrospections):
        await house.verify("also-right")
    # It gave nothing back that it had not taken.
    with pytest.raises(TooManyIntrospections):
        await house.verify("also-right")


async def test_the_address_is_the_one_that_envoy_found(house):
    house.says = {"active": False}
    for number in range(INACTIVE):
        # The client writes the first address, and Envoy adds the last one.
        await house.refused(f"made-up-{number}", address=f"10.0.0.{number}, 192.0.2.1")
    with pytest.raises(TooManyIntrospections):
        await house.verify("another", address="10.9.9.9, 192.0.2.1")


async def test_an_opaque_token_of_a_provider_without_a_client_to_ask_is_refused(house):
    profile = token_profile(issuer=house.liar.url, introspection=None)
    app = application(bearer=BearerAccess((), profile))
    assert await house.refused("opaque", app) == "opaque"
    assert house.asked() == 0


async def until(done) -> None:
    with trio.fail_after(30):
        while not done():
            await trio.sleep(0.005)
