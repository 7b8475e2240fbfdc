"""A user's sessions: which are shown as one, and which are too many."""

from dataclasses import replace

import pytest
from harness.tokens import ISSUER, NOW, application, client

from extproc.core.application import Application
from extproc.core.device import Device
from extproc.core.oidc.claims import Claims
from extproc.core.sealing import KeyRing
from extproc.core.session import Session, SessionId, handle_of
from extproc.core.session_list import OPENED, SignIn, sign_ins, surplus
from extproc.core.session_record import Record, to_record

APP = application()
SESSION = Session(
    SessionId.of(b"m" * 32), ISSUER, "alice", Claims({"sub": "alice"}), "idt", "at", "rt", NOW + 300, NOW, NOW + 43_200, NOW,
    sid="mine",
)  # fmt: skip


def record(session: Session, app: Application = APP, device: Device = Device()) -> Record:  # noqa: B008 - a value
    return to_record(app, session, device, bytes(range(88)))


def other(name: bytes, **changes) -> Session:
    return replace(SESSION, id=SessionId.of(name * 32), **{"sid": None, **changes})


def test_sessions_of_one_sign_in_at_the_provider_are_one():
    wiki = application(name="wiki")
    phone, laptop = Device("Safari on iPhone", "192.0.2.9"), Device("Firefox on Linux", "192.0.2.7")
    older = other(b"1", sid="phone", created=NOW - 900, touched=NOW - 800)
    newer = other(b"2", sid="phone", created=NOW - 500, touched=NOW - 400, expires=NOW + 50_000)
    alone = other(b"3", created=NOW - 100, touched=NOW - 100)
    records = [
        record(newer, wiki, phone),
        record(alone),
        record(SESSION, device=laptop),
        record(older, device=phone),
    ]
    assert sign_ins(APP, SESSION, records, NOW).sign_ins == (
        SignIn(handle_of(SESSION.id.key), (SESSION.id.key,), "mine", ("app",), laptop, NOW, NOW, NOW + 43_200, this=True),
        SignIn(handle_of(alone.id.key), (alone.id.key,), None, ("app",), Device(), NOW - 100, NOW - 100, NOW + 43_100, this=False),
        SignIn(
            handle_of(older.id.key), (older.id.key, newer.id.key), "phone", ("app", "wiki"), phone, NOW - 900, NOW - 400,
            NOW + 42_700, this=False,
        ),
    )  # fmt: skip


OTHER = replace(SESSION, id=SessionId.of(b"o" * 32), sid="other")


def test_they_are_several_where_a_logout_is_for_the_application_alone():
    app = application(logout_everywhere=False)
    records = [record(SESSION, app), record(replace(OTHER, sid="mine"), application(name="wiki"))]
    assert [
        (each.sid, len(each.keys), each.this)
        for each in sign_ins(app, SESSION, records, NOW).sign_ins
    ] == [
        (None, 1, True),
        (None, 1, False),
    ]


def test_each_session_lives_by_the_times_of_its_own_application():
    times = (("app", 43_200, 300), ("wiki", 86_400, 28_800), ("slides", 600, 60))
    app = application(session_idle=300, session_times=times)
    used = other(b"1", sid="mine", created=NOW - 50_000, touched=NOW - 600, expires=NOW + 36_400)
    idle = other(b"2", sid="mine", touched=NOW - 61)
    over = other(b"3", sid="mine", created=NOW - 600)
    gone = other(b"4", sid="mine", touched=NOW - 301)
    records = [
        record(SESSION, app),
        record(used, application(name="wiki")),
        *(record(each, application(name="slides")) for each in (idle, over)),
        record(gone, application(name="an older name")),
    ]
    (found,) = sign_ins(app, SESSION, records, NOW).sign_ins
    assert (found.keys, found.applications) == (
        (used.id.key, SESSION.id.key),
        ("app", "wiki"),
    )


@pytest.mark.attack("LOGO-16")
def test_sessions_of_others_with_the_same_sid_crowd_none_of_the_user_s_own_out():
    """Of a provider whose sid is that of its own browser session, or of everybody."""
    foreign = record(other(b"f", subject="bob", sid="mine"))
    crowd = [replace(foreign, key=number.to_bytes(32, "big")) for number in range(OPENED)]
    found = sign_ins(APP, SESSION, [*crowd, record(SESSION)], NOW)
    assert [each.keys for each in found.sign_ins] == [(SESSION.id.key,)] and not found.more


def test_what_is_of_another_provider_or_gateway_left_idle_or_without_an_index_is_not_shown():
    elsewhere = application(client=client(issuer="https://other.example"))
    records = [
        record(SESSION),
        record(other(b"1", issuer="https://other.example"), elsewhere),
        record(
            other(b"2"), application(ring=KeyRing.of([b"another gateway's secret, not this one's"]))
        ),
        record(other(b"3", touched=NOW - 3600)),
        record(other(b"4", expires=NOW)),
        replace(record(other(b"5")), index=b""),
    ]
    found = sign_ins(APP, SESSION, records, NOW)
    assert [each.keys for each in found.sign_ins] == [(SESSION.id.key,)] and not found.more


def test_the_oldest_sessions_are_too_many_and_the_newest_never_is():
    app = application(sessions_per_user=2)
    made = [other(bytes([65 + age]), created=NOW - age) for age in (3, 0, 2, 1)]
    assert set(surplus(app, "alice", map(record, made), NOW)) == {made[0].id.key, made[2].id.key}
    assert surplus(APP, "alice", map(record, made), NOW) == ()
    # At another application, of another provider, or of another user: they count for nothing.
    others = [
        record(made[1], application(name="wiki")),
        record(replace(made[2], issuer="https://other.example")),
        record(replace(made[3], subject="bob")),
    ]
    assert surplus(app, "alice", [record(made[0]), record(made[2]), *others], NOW) == ()


def test_sessions_that_were_idle_for_too_long_end_with_the_surplus_and_displace_none():
    app = application(sessions_per_user=2)
    idle = [other(bytes([75 + age]), created=NOW - age, touched=NOW - 3600) for age in range(3)]
    used = [other(bytes([65 + age]), created=NOW - 9 - age) for age in range(2)]
    found = surplus(app, "alice", map(record, [*idle, *used]), NOW)
    assert set(found) == {session.id.key for session in idle}
    assert surplus(APP, "alice", map(record, idle), NOW) == ()


def test_a_page_has_room_for_a_hundred_and_says_how_many_more_there_are():
    many = [
        replace(
            SESSION, id=SessionId.of(number.to_bytes(32, "big")), sid=None, touched=NOW - number
        )
        for number in range(1200)
    ]
    records = [record(SESSION), *map(record, many)]
    found = sign_ins(APP, SESSION, records, NOW)
    assert len(found.sign_ins) == 100 and found.more == 1101
    assert found.sign_ins[0].this and found.sign_ins[1].keys == (many[0].id.key,)


def test_a_session_whose_tags_are_not_its_own_is_not_shown():
    """Tags are not sealed: who can write to a store can change them."""
    mine = record(SESSION)
    bob = record(other(b"1", subject="bob", sid="bob's"))
    hung = replace(bob, tags=(*bob.tags, *mine.tags))
    untagged = replace(record(other(b"2")), tags=())
    of_bob = replace(record(other(b"3", sid="phone")), tags=bob.tags)
    without_sid = record(other(b"4", sid="phone"))
    without_sid = replace(without_sid, tags=without_sid.tags[:1])
    records = [mine, hung, untagged, of_bob, without_sid]
    found = sign_ins(APP, SESSION, records, NOW).sign_ins
    assert [each.keys for each in found] == [(SESSION.id.key,)]
    app = application(sessions_per_user=1)
    assert surplus(app, "alice", records, NOW) == ()


def test_of_logins_in_the_same_second_every_process_ends_the_same():
    app = application(sessions_per_user=1)
    one, two = record(other(b"1")), record(other(b"2"))
    assert (
        surplus(app, "alice", [one, two], NOW) == surplus(app, "alice", [two, one], NOW)
        and len(surplus(app, "alice", [one, two], NOW)) == 1
    )
