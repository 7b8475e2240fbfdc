"""Logout that a provider starts, with a provider and a store in memory."""

from dataclasses import replace

import pytest
import trio
import trio.testing
from harness.memory_peers import MemoryProvider
from harness.tokens import (
    ISSUER,
    NOW,
    Signer,
    application,
    key_set,
    public,
    request,
)

from extproc.core.decisions import BackChannelLogout, FrontChannelLogout
from extproc.core.device import Device
from extproc.core.errors import InvalidLogoutToken, InvalidMetadata, LogoutKeyPending
from extproc.core.oidc.claims import Claims
from extproc.core.oidc.jose import KeySet
from extproc.core.oidc.logout_token import EVENT
from extproc.core.session import Session, SessionId
from extproc.provider.cache import Newer
from extproc.relying_party.provider_logout import WAIT_FOR_KEYS, ProviderLogout
from extproc.sessions.sqlite.store import SQLiteStore
from extproc.sessions.stored import StoredSessions

APP = application()
DEVICE = Device("Firefox on Linux", "192.0.2.7")
SESSION = Session(
    SessionId.of(b"0" * 32), ISSUER, "alice", Claims({"sub": "alice"}), "idt", "at", "rt", NOW + 300, NOW, NOW + 43_200, NOW,
    sid="s1",
)  # fmt: skip


RIGHT = {
    "iss": ISSUER,
    "aud": "gateway",
    "iat": NOW,
    "exp": NOW + 60,
    "jti": "1",
    "events": {EVENT: {}},
    "sid": "s1",
}


def logout_token(signer: Signer | None = None, **changes: object) -> BackChannelLogout:
    present = {name: value for name, value in (RIGHT | changes).items() if value is not None}
    return BackChannelLogout((signer or Signer()).sign(present))


class Provider(MemoryProvider):
    """`newest`: what a fetch for a logout token brings. `fetched`: how often it was fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.newest = Newer(self.newer, certain=True)
        self.fetched = 0

    async def newer_keys_for_logout(self):
        self.fetched += 1
        await self.open.wait()
        return self.newest


class Gateway:
    """An application with alice's session."""

    def __init__(self, path) -> None:
        self.provider = Provider()
        self.sessions = StoredSessions(SQLiteStore(path / "sessions.sqlite3"))
        self.logout = ProviderLogout({APP.name: self.provider}, self.sessions, lambda: NOW)

    async def __aenter__(self):
        await self.sessions.create(APP, request(), SESSION, DEVICE, None)
        return self

    async def __aexit__(self, *_):
        await self.sessions.aclose()

    async def alive(self) -> bool:
        cookie = f"{APP.cookies.session}={SESSION.id.cookie}"
        return await self.sessions.find(APP, request(cookie=cookie), NOW) is not None

    async def perform(self, step: BackChannelLogout):
        return await self.logout.perform(APP, step)


@pytest.mark.parametrize("trust", ["sid", "browser"])
async def test_a_frame_ends_its_session_whatever_the_provider_s_metadata_is(tmp_path, trust):
    """`browser` ends a session by its cookie alone, and `sid` by its name as well."""

    def broken():
        raise InvalidMetadata("no JSON")

    app = replace(APP, frontchannel_logout=trust)
    async with Gateway(tmp_path) as gateway:
        gateway.provider.metadata_nowait = broken
        by_name = await gateway.logout.perform(app, FrontChannelLogout("s1"))
        assert (by_name.status, await gateway.alive()) == (200, trust == "browser")
        answer = await gateway.logout.perform(app, FrontChannelLogout("s1", SESSION))
        assert answer.status == 200 and answer.clear_cache and not await gateway.alive()


@pytest.mark.attack("LOGO-22")
@pytest.mark.parametrize(
    ("newest", "error"),
    [
        (Newer(key_set(public("RS256", "2")), certain=True), None),
        (Newer(key_set(public("RS256", "2")), certain=False), None),
        (Newer(key_set(public("RS256")), certain=True), InvalidLogoutToken),
        (Newer(key_set(public("RS256")), certain=False), LogoutKeyPending),
    ],
)
async def test_a_token_of_an_unknown_key_is_refused_only_if_the_key_is_certainly_unknown(
    tmp_path, newest, error
):
    async with Gateway(tmp_path) as gateway:
        gateway.provider.newest = newest
        step = logout_token(Signer(name="2"))
        if error is None:
            assert (await gateway.perform(step)).status == 200
        else:
            with pytest.raises(error, match="no key of the set fits"):
                await gateway.perform(step)
        assert gateway.provider.fetched == 1 and await gateway.alive() == (error is not None)


@pytest.mark.attack("LOGO-22")
async def test_few_tokens_wait_for_keys_at_a_time_and_known_keys_need_no_wait(tmp_path):
    refused: list[str] = []

    async def post(gateway: Gateway, number: int) -> None:
        try:
            await gateway.perform(logout_token(Signer(name="2"), jti=str(number)))
        except (InvalidLogoutToken, LogoutKeyPending) as error:
            refused.append(error.reason)

    async with Gateway(tmp_path) as gateway:
        gateway.provider.open = trio.Event()
        async with trio.open_nursery() as nursery:
            for number in range(WAIT_FOR_KEYS + 5):
                nursery.start_soon(post, gateway, number)
            await trio.testing.wait_all_tasks_blocked()
            assert refused == ["logout_token_key_pending"] * 5
            assert (await gateway.perform(logout_token())).status == 200
            gateway.provider.open.set()
        assert refused[5:] == ["logout_token_key"] * WAIT_FOR_KEYS
        # Those that waited have given their places back.
        await post(gateway, 1000)
        assert refused[-1] == "logout_token_key"


async def test_a_key_that_was_replaced_under_its_kid_is_fetched(tmp_path):
    turned = Signer(name="2")
    replaced = replace(key_set(public("RS256", "2")).keys[0], kid="RS256-1")
    async with Gateway(tmp_path) as gateway:
        gateway.provider.newest = Newer(KeySet((replaced,)), certain=True)
        step = BackChannelLogout(turned.sign(RIGHT, kid="RS256-1"))
        assert (await gateway.perform(step)).status == 200 and not await gateway.alive()


async def test_without_any_keys_yet_they_are_fetched_first(tmp_path):
    async with Gateway(tmp_path) as gateway:
        gateway.provider.keys_nowait = lambda: None
        assert (await gateway.perform(logout_token())).status == 200
        with pytest.raises(LogoutKeyPending):
            await gateway.perform(logout_token(Signer(name="2"), jti="2"))
        assert gateway.provider.fetched == 0


@pytest.mark.attack("LOGO-05")
async def test_an_end_is_remembered_as_long_as_a_session_of_any_application_lasts(tmp_path):
    ends = []

    async def end_tagged(tags, moment, until):
        ends.append(until)

    async with Gateway(tmp_path) as gateway:
        gateway.sessions.end_tagged = end_tagged
        app = replace(APP, session_lifetime=60, session_times=(("other", 500, 60),))
        await gateway.logout.perform(app, logout_token(sub=None))
    assert ends == [NOW + 500]
