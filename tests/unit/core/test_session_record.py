"""The session record: what is written, byte for byte, and what of it can be read again."""

import json
from dataclasses import replace

import pytest
from harness.refusals import raised
from harness.tokens import (
    ENTROPY_BYTES,
    ISSUER,
    NOW,
    RING,
    WITH_GROUPS,
    Signer,
    application,
    id_token_claims,
    request,
    session,
)

from extproc.core.device import Device
from extproc.core.errors import SessionTooLarge
from extproc.core.oidc.claims import Claims
from extproc.core.sealing import KeyRing, Label
from extproc.core.session import Session, SessionId
from extproc.core.session_cookie import read_session, session_cookies
from extproc.core.session_index import IndexEntry, written_tags
from extproc.core.session_record import (
    FIELDS,
    FORMAT,
    MAX_IDENTITY,
    MAX_SEALED,
    dump,
    from_record,
    load,
    to_record,
)

NEWEST = session(
    claims=Claims({"sub": "alice", "groups": ["dev", "ops"]}),
    sid="the-sid",
    auth_time=NOW - 5,
    acr="gold",
    access_issued=NOW + 60,
    amr=("pwd", "otp"),
    generation=3,
    attempt=b"a" * 32,
    created_ms=NOW * 1000 + 321,
)
_FORMAT_1 = (
    b'"https://idp.example","alice",{"sub":"alice","groups":["dev","ops"]},"idt","at","rt",'
    b'1800000300,1800000000,1800043200,"the-sid",1799999995,"gold"'
)
_FORMAT_2 = _FORMAT_1 + b",1800000060"
_FORMAT_3 = _FORMAT_2 + b',["pwd","otp"]'
_FORMAT_4 = _FORMAT_3 + b",3"
_FORMAT_5 = _FORMAT_4 + b',"YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE"'
_FORMAT_6 = _FORMAT_5 + b",1800000000321"
# what each release wrote, and the session that it has to open as
WRITTEN = {
    1: (
        _FORMAT_1,
        replace(NEWEST, access_issued=NOW, amr=(), generation=0, attempt=b"", created_ms=0),
    ),
    2: (_FORMAT_2, replace(NEWEST, amr=(), generation=0, attempt=b"", created_ms=0)),
    3: (_FORMAT_3, replace(NEWEST, generation=0, attempt=b"", created_ms=0)),
    4: (_FORMAT_4, replace(NEWEST, attempt=b"", created_ms=0)),
    5: (_FORMAT_5, replace(NEWEST, created_ms=0)),
    6: (_FORMAT_6, NEWEST),
}


@pytest.mark.parametrize("version", WRITTEN)
def test_what_a_release_wrote_opens_as_the_session_that_it_was(version):
    values, expected = WRITTEN[version]
    loaded = load(b"[%d,%b]" % (version, values), NEWEST.id, NOW)
    assert loaded == expected and not loaded.outdated


def test_every_format_is_tried():
    assert list(FIELDS) == list(WRITTEN) and max(FIELDS) == FORMAT


def test_a_session_is_written_as_these_very_bytes():
    assert dump(NEWEST) == b"[6,%b]" % _FORMAT_6
    assert dump(session(refresh_token=None)) == (
        b'[6,"https://idp.example","alice",{"sub":"alice"},"idt","at",null,'
        b'1800000300,1800000000,1800043200,null,null,null,0,[],0,"",0]'
    )


@pytest.mark.parametrize(
    "data",
    [
        b"[0,%b]" % _FORMAT_5,
        b"[6,%b]" % _FORMAT_5,
        b'["5",%b]' % _FORMAT_5,
        b"[[5],%b]" % _FORMAT_5,
        b"[5,%b]" % _FORMAT_4,
        b"[4,%b]" % _FORMAT_5,
        b"[5]",
        b"[]",
        b"{}",
        b"5",
        b"",
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_what_has_not_the_fields_of_a_known_format_is_no_session(data):
    assert load(data, NEWEST.id, NOW) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("issuer", None),
        ("subject", 5),
        ("claims", []),
        ("claims", None),
        ("id_token", None),
        ("access_token", 5),
        ("refresh_token", 5),
        ("access_expires", "soon"),
        ("access_expires", True),
        ("created", 1.5),
        ("expires", None),
        ("sid", 5),
        ("auth_time", "now"),
        ("auth_time", True),
        ("acr", ["gold"]),
        ("access_issued", None),
        ("amr", [5]),
        ("amr", None),
        ("generation", "3"),
        ("attempt", "YWFh"),
        ("attempt", "!"),
        ("attempt", None),
    ],
)
def test_a_value_of_another_type_makes_it_no_session(name, value):
    stored = json.loads(dump(NEWEST))
    stored[1 + FIELDS[FORMAT].index(name)] = value
    assert load(json.dumps(stored).encode(), NEWEST.id, NOW) is None


def test_the_last_use_and_the_age_of_the_key_come_from_the_store():
    loaded = load(dump(NEWEST), NEWEST.id, NOW + 7, outdated=True)
    assert loaded == replace(NEWEST, touched=NOW + 7) and loaded.outdated


APP = application()


def test_identity_headers_that_no_application_could_take_make_no_session():
    """They are made anew for each request that the processor decides: a provider that says very
    much about a user would stall it.
    """
    for size, fits in (
        (MAX_IDENTITY - len("x-auth-sub") - len("alice") - len("x-auth-email"), True),
        (MAX_IDENTITY, False),
    ):
        one = session(claims=Claims({"sub": "alice", "email": "x" * size, "email_verified": True}))
        for keep in (
            lambda one=one: to_record(APP, one, Device(), ENTROPY_BYTES * 2),
            lambda one=one: session_cookies(APP, request(), one, NOW, ENTROPY_BYTES),
        ):
            if fits:
                keep()
            else:
                kind, detail = raised(keep)
                alone = MAX_IDENTITY + len("x-auth-email")
                assert kind is SessionTooLarge and detail == (
                    f"the identity headers would have {alone + len('x-auth-subalice')} bytes, "
                    f"x-auth-email alone {alone}; {MAX_IDENTITY} are allowed: name fewer claims in "
                    "identity.headers, set identity.max_header_bytes, or have the provider give "
                    "fewer groups"
                )


@pytest.mark.parametrize(("forwarded", "fits"), [(True, False), (False, True)])
def test_an_access_token_that_envoy_could_not_send_makes_no_session(forwarded, fits):
    """Envoy fails a request whose headers exceed its bound, with an empty page."""
    app = application(forward_access_token=forwarded, header_room=30_720)
    one = session(access_token="t" * 30_720)
    keep = lambda: to_record(app, one, Device(), ENTROPY_BYTES * 2)  # noqa: E731
    if fits:
        assert keep()
    else:
        kind, detail = raised(keep)
        assert kind is SessionTooLarge and "the access token 30720; 30720 are allowed" in detail
    less = session(access_token="t" * 30_700)
    assert to_record(app, less, Device(), ENTROPY_BYTES * 2)


def test_the_log_names_how_large_a_session_would_be():
    huge = session(subject="a" * MAX_SEALED)
    assert raised(lambda: session_cookies(APP, request(), huge, NOW, ENTROPY_BYTES))[1].endswith(
        f"bytes; {MAX_SEALED} are allowed"
    )
    kind, detail = raised(lambda: to_record(APP, huge, Device(), ENTROPY_BYTES * 2))
    assert (
        kind is SessionTooLarge
        and detail.startswith("the session would take ")
        and detail.endswith(f"; {MAX_SEALED} are allowed")
    )
    kind, detail = raised(
        lambda: session_cookies(APP, request(), session(16_000), NOW, ENTROPY_BYTES)
    )
    assert detail.startswith("the session has ")
    assert detail.endswith(
        " bytes sealed, more than 4 cookies of 3800; set store.kind to sqlite or redis"
    )


ROTATED = application(
    ring=KeyRing((*KeyRing.of([b"the new secret of this gateway ..."]).keys, *RING.keys))
)


def test_what_an_older_key_sealed_is_known_and_is_to_be_written_anew():
    record = to_record(APP, session(), Device(), ENTROPY_BYTES * 2)
    made = session_cookies(APP, request(), session(), NOW, ENTROPY_BYTES)
    asked = request(cookie="; ".join(f"{cookie.name}={cookie.value}" for cookie in made))
    for app, outdated in ((APP, False), (ROTATED, True)):
        for found in (from_record(app, session().id, record), read_session(app, asked)):
            assert (
                found == session()
                and found.outdated is outdated
                and found.stale_touch(NOW) is outdated
            )


def test_a_record_carries_the_tags_by_which_it_is_found():
    record = to_record(APP, session(sid="s"), Device(), ENTROPY_BYTES * 2)
    entry = IndexEntry("app", ISSUER, "alice", "s", NOW, Device())
    assert record.tags == written_tags(RING, entry) and record.tags
    assert from_record(APP, session().id, replace(record, sealed=b"\xff" + record.sealed)) is None
    large = session(subject="a" * 100_000)
    assert (
        from_record(APP, session().id, to_record(APP, large, Device(), ENTROPY_BYTES * 2)) == large
    )


DECIDED = WITH_GROUPS


def test_a_record_opens_for_its_session_alone():
    record = to_record(APP, DECIDED, Device("Firefox", "192.0.2.7"), ENTROPY_BYTES * 2)
    assert from_record(APP, DECIDED.id, record) == DECIDED
    assert (
        b"alice" not in record.sealed
        and DECIDED.id.value.encode() not in record.sealed + record.key
    )
    assert from_record(APP, SessionId.of(b"x" * 32), record) is None
    assert from_record(application(name="two"), DECIDED.id, record) is None
    assert (
        from_record(application(ring=replace(RING, keys=RING.keys[:0])), DECIDED.id, record) is None
    )
    assert from_record(APP, DECIDED.id, replace(record, sealed=record.sealed[:-2] + b"AA")) is None


FIRST = Signer().sign(id_token_claims())
REFRESHED = Session(
    SessionId.of(b"s" * 32), ISSUER, "alice", Claims({"sub": "alice", "email": "old@example.com", "team": "red"}), FIRST, "at", "rt",
    NOW + 300, NOW, NOW + 43_200, NOW, "sid", NOW, "silver", NOW,
)  # fmt: skip


def test_a_session_of_the_format_before_has_the_tokens_of_its_login():
    fields = json.loads(dump(REFRESHED))
    assert load(json.dumps(fields).encode(), REFRESHED.id, NOW) == REFRESHED
    assert load(json.dumps([1, *fields[1:-5]]).encode(), REFRESHED.id, NOW) == REFRESHED
    assert load(json.dumps([2, *fields[1:-4]]).encode(), REFRESHED.id, NOW) == REFRESHED
    assert load(json.dumps([3, *fields[1:-3]]).encode(), REFRESHED.id, NOW) == REFRESHED
    assert load(json.dumps([4, *fields[1:-2]]).encode(), REFRESHED.id, NOW) == REFRESHED
    assert load(json.dumps([5, *fields[1:-1]]).encode(), REFRESHED.id, NOW) == REFRESHED
    assert load(json.dumps([7, *fields[1:]]).encode(), REFRESHED.id, NOW) is None


def test_a_record_under_another_session_s_key_does_not_open():
    record = to_record(APP, REFRESHED, Device("Firefox", "192.0.2.7"), ENTROPY_BYTES * 2)
    label = Label("session", APP.name, REFRESHED.id.key.hex(), secret=REFRESHED.id.value.encode())
    assert RING.open(record.sealed.decode(), label) is not None
    assert RING.open(record.sealed.decode(), replace(label, name="")) is None
