"""The session record: what is written, byte for byte, and what of it can be read again."""

import json
from dataclasses import replace

import pytest
from harness.tokens import NOW, session

from extproc.core.oidc.claims import Claims
from extproc.core.session_record import FIELDS, FORMAT, dump, load

NEWEST = session(
    claims=Claims({"sub": "alice", "groups": ["dev", "ops"]}),
    sid="the-sid",
    auth_time=NOW - 5,
    acr="gold",
    access_issued=NOW + 60,
    amr=("pwd", "otp"),
    generation=3,
    attempt=b"a" * 32,
)
_FORMAT_1 = (
    b'"https://idp.example","alice",{"sub":"alice","groups":["dev","ops"]},"idt","at","rt",'
    b'1800000300,1800000000,1800043200,"the-sid",1799999995,"gold"'
)
_FORMAT_2 = _FORMAT_1 + b",1800000060"
_FORMAT_3 = _FORMAT_2 + b',["pwd","otp"]'
_FORMAT_4 = _FORMAT_3 + b",3"
_FORMAT_5 = _FORMAT_4 + b',"YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE"'
# what each release wrote, and the session that it has to open as
WRITTEN = {
    1: (_FORMAT_1, replace(NEWEST, access_issued=NOW, amr=(), generation=0, attempt=b"")),
    2: (_FORMAT_2, replace(NEWEST, amr=(), generation=0, attempt=b"")),
    3: (_FORMAT_3, replace(NEWEST, generation=0, attempt=b"")),
    4: (_FORMAT_4, replace(NEWEST, attempt=b"")),
    5: (_FORMAT_5, NEWEST),
}


@pytest.mark.parametrize("version", WRITTEN)
def test_what_a_release_wrote_opens_as_the_session_that_it_was(version):
    values, expected = WRITTEN[version]
    assert load(b"[%d,%b]" % (version, values), NEWEST.id, NOW) == expected


def test_every_format_is_tried():
    assert list(FIELDS) == list(WRITTEN) and max(FIELDS) == FORMAT


def test_a_session_is_written_as_these_very_bytes():
    assert dump(NEWEST) == b"[5,%b]" % _FORMAT_5
    assert dump(session(refresh_token=None)) == (
        b'[5,"https://idp.example","alice",{"sub":"alice"},"idt","at",null,'
        b'1800000300,1800000000,1800043200,null,null,null,0,[],0,""]'
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
