"""Any event at any await of a request keeps what was promised, and the next request is served."""

import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest
import trio
import trio.testing
from harness.fault_at_await import HOW, Context, World, every
from harness.tokens import ISSUER, NOW, Signer, application, cookie_header, pending, public, request
from harness.tokens import key_set as keys_of

from extproc.core.decisions import BackChannelLogout, EndListedSessions
from extproc.core.device import Device
from extproc.core.oidc.claims import Claims
from extproc.core.session import Session, SessionId
from extproc.core.session_record import from_record
from extproc.core.sessions_page import OTHERS
from extproc.provider.cache import Cache, CoolDown

REFRESHES = application(refresh_margin=30)
SESSION = Session(
    SessionId.of(b"s" * 32), ISSUER, "alice", Claims({"sub": "alice"}), "idt", "at0", "rt0", NOW, NOW - 300, NOW + 43_200, NOW,
    access_issued=NOW - 300,
)  # fmt: skip
COOKIE = f"{REFRESHES.cookies.session}={SESSION.id.cookie}"
FETCH = {"sec_fetch_mode": "cors", "sec_fetch_dest": "empty", "accept": "application/json"}


@pytest.fixture(autouse=True)
def _no_bug(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail on an error line: trouble is expected and logged lower, a bug is not."""
    yield
    assert not [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]


def answer(context: Context | None) -> str:
    """The outcome of a stream in one word. "": no answer."""
    if context is None:
        return ""
    (message,) = context.answers
    assert context.written[-1] is message and len(context.written) <= 2
    if message.HasField("immediate_response"):
        return str(message.immediate_response.details)
    headers = {
        each.header.key: each.header.raw_value
        for each in message.request_headers.response.header_mutation.set_headers
    }
    assert headers.get("x-auth-sub") == b"alice"
    return "identity"


async def signs_in(world: World, session: Session = SESSION) -> None:
    await world.sessions.create(world.app, request(), session, Device(), None)
    world.provider.good.add("rt0")


def kept(world: World) -> Session | None:
    """SESSION as the store has it."""
    record = world.store.records.get(SESSION.id.key)
    return from_record(world.app, SESSION.id, record) if record is not None else None


def unlocked(world: World, how: str) -> bool:
    """No lock of a session is left to expire, unless the store did not learn of its release."""
    return not world.store.locks or how == "store_away" or world.struck == "unlock"


@pytest.mark.parametrize(
    ("how", "remote"), [*((how, False) for how in HOW), ("leaves", True), ("late", True)]
)
def test_tokens_that_were_renewed_are_kept_whatever_happens_meanwhile(
    how: str, remote: bool
) -> None:
    async def scenario(world: World, strikes) -> None:
        await signs_in(world)
        world.store.remote = remote
        asked = request(cookie=COOKIE, **FETCH)
        outcome = answer(await strikes(lambda: world.ask(asked)))
        assert unlocked(world, how)
        lost = world.provider.lost
        assert outcome in ("", "identity", "store_unavailable", "provider_timeout")
        # A failed attempt may be repeated.
        world.later += 61
        again = answer(await world.ask(asked))
        assert again == ("session_ended" if lost else "identity")
        if not lost:
            assert (
                session := kept(world)
            ) is not None and session.refresh_token in world.provider.good

    assert every(how, scenario, REFRESHES) > 1


@pytest.mark.parametrize("how", HOW)
def test_tokens_whose_key_nobody_knew_are_kept_whatever_happens_meanwhile(how: str) -> None:
    async def scenario(world: World, strikes) -> None:
        await signs_in(world)
        world.provider.held_keys = keys_of(public("RS256", "old"))
        asked = request(cookie=COOKIE, **FETCH)
        answer(await strikes(lambda: world.ask(asked)))
        assert unlocked(world, how)
        if not world.provider.lost:
            world.later += 61
            assert answer(await world.ask(asked)) == "identity"
            assert (
                session := kept(world)
            ) is not None and session.refresh_token in world.provider.good

    assert every(how, scenario, REFRESHES) > 1


PENDING = pending()
OTHER = pending(REFRESHES, secret=b"o" * 32, created=PENDING.created)
CALLBACK = request(
    f"/oauth2/callback?code=code&state={PENDING.state}&iss=https%3A%2F%2Fidp.example",
    # The login of a second tab, which this one overtakes.
    cookie=cookie_header(REFRESHES, PENDING, OTHER),
    sec_fetch_site="cross-site",
)


@pytest.mark.parametrize("how", HOW)
def test_a_login_is_whole_or_leaves_nothing_whatever_happens_meanwhile(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(world: World, strikes) -> None:
        outcome = answer(await strikes(lambda: world.ask(CALLBACK)))
        records, lost = world.store.records, world.provider.lost
        assert len(records) <= 1 and len(world.provider.redeemed) <= 1
        if outcome == "signed_in":
            assert records and world.provider.good
        elif outcome:
            # An error page: no session, and no token is left unrevoked unless revocation was
            # impossible.
            assert not records or how == "store_away" or world.struck == "delete", outcome
            assert not world.provider.good - lost or world.struck == "revoke"
        # The client has disconnected: its session is complete, or there is none.
        else:
            assert bool(records) == bool(world.provider.good - lost)
        again = answer(await world.ask(CALLBACK))
        assert again in ("signed_in", "login_already_used") and len(world.provider.redeemed) <= 1
        if outcome in ("store_unavailable", "provider_unavailable") and not world.store.claims:
            assert again == "signed_in", "nothing was consumed"

    assert every(how, scenario, REFRESHES) > 1
    warned = "others_not_overtaken" in {line.message for line in caplog.records}
    assert warned == how.startswith("store"), (
        "an operator hears that other logins of that browser may still count"
    )


@pytest.mark.parametrize(
    ("how", "remote"), [*((how, False) for how in HOW), ("leaves", True), ("late", True)]
)
def test_who_asks_for_the_end_of_a_session_gets_it_whatever_happens_meanwhile(
    how: str, remote: bool
) -> None:
    asked = request(
        "/oauth2/logout",
        method="POST",
        cookie=COOKIE,
        origin="https://app.example",
        sec_fetch_site="same-origin",
    )

    async def scenario(world: World, strikes) -> None:
        await signs_in(world)
        world.store.remote = remote
        outcome = answer(await strikes(lambda: world.ask(asked)))
        gone = SESSION.id.key not in world.store.records
        assert gone or outcome != "signed_out"
        if how == "leaves" and not remote:
            assert gone or not world.bridge.hops, "it was asked for, whoever has left since"
        assert answer(await world.ask(asked)) == "signed_out"
        assert SESSION.id.key not in world.store.records
        assert answer(await world.ask(request(cookie=COOKIE, **FETCH))) == "login_required"

    assert every(how, scenario, REFRESHES) > 0


OWN = application(refresh_margin=30, backchannel_logout=True)


@pytest.mark.parametrize("how", HOW)
def test_a_logout_token_ends_what_it_names_or_may_come_again_whatever_happens_meanwhile(
    how: str,
) -> None:
    claims = {
        "iss": ISSUER,
        "aud": "gateway",
        "iat": NOW,
        "exp": NOW + 120,
        "jti": "1",
        "sub": "alice",
    }
    token = Signer().sign(
        {**claims, "events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
        typ="logout+jwt",
    )
    asked = request(
        "/oauth2/backchannel-logout",
        method="POST",
        content_type="application/x-www-form-urlencoded",
    )

    async def scenario(world: World, strikes) -> None:
        await signs_in(world)
        # Only then there is anything to wait for at the provider.
        world.provider.known = not how.startswith("provider")
        outcome = await strikes(lambda: world.perform(asked, BackChannelLogout(token)))
        gone = SESSION.id.key not in world.store.records
        status = outcome.status if outcome is not None else None
        assert gone or status in (None, 502, 503, 504)
        if how == "leaves" and not gone:
            raise AssertionError("it was asked for, whoever has left since")
        again = await world.perform(asked, BackChannelLogout(token))
        assert again.status == 200 or (again.status == 400 and gone), (
            "only what was carried out counts as used"
        )
        assert SESSION.id.key not in world.store.records

    assert every(how, scenario, OWN) > 0


@pytest.mark.parametrize("how", [how for how in HOW if not how.startswith("provider")])
def test_the_other_sessions_of_a_user_end_whatever_happens_meanwhile(how: str) -> None:
    other = replace(SESSION, id=SessionId.of(b"o" * 32))

    async def scenario(world: World, strikes) -> None:
        await signs_in(world)
        await world.sessions.create(world.app, request(), other, Device(), None)
        asked = request("/oauth2/sessions", method="POST", cookie=COOKIE)
        outcome = await strikes(
            lambda: world.perform(asked, EndListedSessions(SESSION, OTHERS, ()))
        )
        gone = other.id.key not in world.store.records
        assert gone or outcome is None or outcome.status in (503, 504)
        assert gone or how != "leaves", "it was asked for, whoever has left since"
        assert SESSION.id.key in world.store.records, "the one that asked goes on"
        assert (await world.perform(asked, EndListedSessions(SESSION, OTHERS, ()))).status == 303
        assert other.id.key not in world.store.records

    assert every(how, scenario, REFRESHES) > 0


async def test_a_key_set_that_somebody_asked_for_and_left_is_asked_for_again_by_the_next() -> None:
    asked: list[int] = []

    async def fetch() -> int:
        asked.append(1)
        if len(asked) == 2:
            await trio.sleep_forever()
        return len(asked)

    cache, cool_down = Cache(fetch, fresh=600), CoolDown(10.0)
    assert await cache.get() == 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cache.again, cool_down)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    newer = await cache.again(cool_down)
    assert newer.value == 3, "no cool-down was begun by what was never answered"
    assert (await cache.again(cool_down)).value == 3 and len(asked) == 3
