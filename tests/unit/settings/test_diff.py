"""New settings compared with those in force."""

import pytest

from extproc.settings import differences, introduced, with_secrets, with_secrets_of

A, B, C = "a" * 32, "b" * 32, "c" * 32


def keys(settings):
    return "".join(secret.get_secret_value()[0] for secret in settings.ring())


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({}, ()),
        ({"secret": [B, A]}, ()),
        ({"providers": {"main": {"client_secret": "new"}}}, ()),
        ({"providers": {"main": {"client_secret": None}}}, ("providers",)),
        ({"session": {"idle": 60}, "log": {"level": "DEBUG"}}, ("session", "log")),
    ],
    ids=["nothing", "the ring", "a client secret", "a client without a secret", "other keys"],
)
def test_only_what_needs_a_restart_is_a_difference(read, change, names):
    assert differences(with_secrets(read()), with_secrets(read(change))) == names


def asking(**changes):
    tokens = {"introspection": {"client_id": "asks", "client_secret": "old"} | changes}
    return {"providers": {"main": {"access_tokens": tokens}}}


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        (asking(), asking(client_secret="new"), ()),
        (asking(), asking(client_id="other"), ("providers",)),
        (asking(), {}, ("providers",)),
        ({}, asking(), ("providers",)),
    ],
    ids=["its secret", "its id", "no client", "a client"],
)
def test_the_introspecting_client_takes_a_new_secret_and_nothing_else(read, old, new, names):
    before, after = with_secrets(read(old)), with_secrets(read(new))
    assert differences(before, after) == names
    taken = with_secrets_of(before, after).providers["main"].access_tokens.introspection
    if not names:
        assert taken.secret().get_secret_value() == "new"


def test_secrets_are_taken_and_nothing_else_is(read):
    new = {"secret": B, "session": {"idle": 60}, "providers": {"main": {"client_secret": "new"}}}
    taken = with_secrets_of(read({"secret": A}), read(new))
    assert keys(taken) == "b"
    assert taken.providers["main"].secret().get_secret_value() == "new"
    assert taken.session.idle == 3600


@pytest.mark.parametrize(
    ("before", "after", "between"),
    [
        ([A], [B, A], "ab"),
        ([A, C], [B, A], "acb"),
        ([A, B], [B, A], None),
        ([A], [A], None),
        ([A], [B], None),
    ],
    ids=["a new first key", "an old key goes", "known before", "the same", "the old one goes"],
)
def test_a_new_first_key_is_introduced_behind_the_old_one(read, before, after, between):
    settings = introduced(read({"secret": before}), read({"secret": after}))
    assert (None if settings is None else keys(settings)) == between
