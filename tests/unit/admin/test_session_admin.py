"""What operators do with sessions whose cookies they do not have."""

import pytest
from harness.tokens import NOW, application, request, session

from extproc.admin.session_admin import NotPossible, SessionAdmin, SessionSelector
from extproc.core.device import Device
from extproc.core.sealing import KeyRing
from extproc.core.session import Session, SessionId
from extproc.core.session_index import subject_tags
from extproc.sessions.factory import opened

DEVICE = Device("Firefox on Linux", "192.0.2.7")
ALL = SessionSelector()


def of(name: bytes, subject: str = "alice", **changes: object) -> Session:
    return session(id=SessionId.of(name * 32), subject=subject, **changes)


ONE, TWO, BOB = of(b"1", sid="s1"), of(b"2", sid="s2", touched=NOW + 60), of(b"3", "bob")


@pytest.fixture
def app(in_a_file):
    return application(ring=in_a_file.key_ring())


@pytest.fixture
async def admin(in_a_file, app):
    async with opened(in_a_file.store) as sessions:
        for each in (ONE, TWO, BOB):
            await sessions.create(app, request(), each, DEVICE, None)
    return SessionAdmin(in_a_file, lambda: NOW)


async def ids(admin: SessionAdmin, selector: SessionSelector = ALL) -> list[str]:
    return [summary.id for summary in await admin.listed(selector)]


def id_of(one: Session) -> str:
    return one.id.key.hex()


async def test_sessions_are_listed_by_their_last_use_with_what_the_index_shows(admin):
    summaries = await admin.listed(ALL)
    assert summaries[0].id == id_of(TWO) and len(summaries) == 3
    first = summaries[0]
    assert (first.application, first.provider, first.subject, first.sid) == (
        "app",
        "main",
        "alice",
        "s2",
    )
    assert (first.agent, first.address) == (DEVICE.agent, DEVICE.address)
    assert (first.created, first.used, first.expires) == (NOW, NOW + 60, NOW + 43_200)
    assert first.used < first.idle <= first.expires


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        (SessionSelector(user="alice"), [TWO, ONE]),
        (SessionSelector(sid="s1"), [ONE]),
        (SessionSelector(user="nobody"), []),
        (SessionSelector(id=id_of(BOB)), [BOB]),
        (SessionSelector(id=id_of(BOB)[:16]), [BOB]),
        (SessionSelector(id="0" * 64), []),
        (SessionSelector(id="0" * 16), []),
    ],
    ids=lambda value: str(value) if isinstance(value, SessionSelector) else str(len(value)),
)
async def test_a_selector_finds_and_ends_its_own_sessions_and_no_others(admin, selector, found):
    expected = [id_of(one) for one in found]
    assert await ids(admin, selector) == expected
    assert await admin.end(selector) == len(found)
    assert set(await ids(admin)) == {id_of(one) for one in (ONE, TWO, BOB)} - set(expected)


async def test_all_sessions_end_however_many_pages_they_have(admin, in_a_file, app):
    async with opened(in_a_file.store) as sessions:
        for number in range(250):
            one = session(id=SessionId.of(number.to_bytes(32, "big")))
            await sessions.create(app, request(), one, DEVICE, None)
    assert await admin.end(ALL) == 253
    assert await ids(admin) == [] and await admin.end(ALL) == 0


async def test_an_id_that_several_sessions_begin_with_ends_none(admin):
    with pytest.raises(NotPossible, match="3 sessions"):
        await admin.end(SessionSelector(id=""))
    assert len(await ids(admin)) == 3


async def test_a_session_of_another_secret_is_not_shown_and_ends_with_all(admin, in_a_file):
    stranger = application(ring=KeyRing.of([b"the secret of another gateway ...."]))
    async with opened(in_a_file.store) as sessions:
        await sessions.create(stranger, request(), of(b"9", "carol"), DEVICE, None)
    assert len(await ids(admin)) == 3 and await admin.end(ALL) == 4


async def test_a_provider_that_is_gone_from_the_settings_is_left_out_of_a_session(admin, in_a_file):
    fewer = in_a_file.model_copy(update={"applications": {}})
    assert {each.provider for each in await SessionAdmin(fewer, lambda: NOW).listed(ALL)} == {""}


async def test_of_sessions_in_cookies_none_is_listed_and_none_ended_by_its_id(in_cookies):
    admin = SessionAdmin(in_cookies, lambda: NOW)
    with pytest.raises(NotPossible, match="cannot be listed"):
        await admin.listed(ALL)
    with pytest.raises(NotPossible, match="end those of its user"):
        await admin.end(SessionSelector(id="0" * 16))
    with pytest.raises(NotPossible, match="a new secret"):
        await admin.end(ALL)
    with pytest.raises(NotPossible, match=r"store\.tombstones"):
        await admin.end(SessionSelector(user="alice"))


async def test_with_tombstones_those_of_a_user_are_revoked_and_not_counted(
    in_cookies_with_tombstones,
):
    settings = in_cookies_with_tombstones
    assert await SessionAdmin(settings, lambda: NOW).end(SessionSelector(user="alice")) is None
    tags = subject_tags(settings.key_ring(), ONE.issuer, "alice")
    async with opened(settings.store) as sessions:
        assert await sessions.revoked_at(tags, NOW + 1) == NOW * 1000


def test_a_selector_is_logged_by_what_it_names():
    assert str(ALL) == "all"
    assert str(SessionSelector(user="alice")) == "user=alice"
    assert str(SessionSelector(user="alice", sid="s1")) == "user=alice sid=s1"
