"""`extproc sessions` against the admin of a processor with one worker, and with several."""

import json
import subprocess
import sys

import httpx
import pytest
from harness.fake_provider import FakeProvider
from harness.gateway import ROOT, Stack

from extproc.admin.sessions import HEADER

OPERATOR = {HEADER: "1"}


def command(stack: Stack, *arguments: str) -> tuple[int, str]:
    argv = [sys.executable, "-m", "extproc", "sessions", *arguments, "--config", stack.config]
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=stack.directory,
        env={"PYTHONPATH": str(ROOT)},
    )
    return done.returncode, (done.stdout + done.stderr).strip()


def signs_in(stack: Stack, user, name: str, sid: str) -> None:
    stack.provider.user, stack.provider.claims["sid"] = name, sid
    assert user.go(stack.url("/private")).status_code == 200


def lives(stack: Stack, user) -> bool:
    user.cookies.drop("extproc-assertion-app")
    answer = user.navigate(stack.url("/private"))
    assert answer.status_code in (200, 303), answer.text
    return answer.status_code == 200


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.heavy)])
def test_an_operator_lists_sessions_and_ends_them_by_user_by_sid_and_all(workers):
    with Stack(FakeProvider(), settings={"workers": workers}) as stack:
        users = [stack.user() for _ in range(4)]
        for user, name, sid in zip(
            users, ("alice", "alice", "bob", "carol"), ("s1", "s2", "s3", "s4"), strict=True
        ):
            signs_in(stack, user, name, sid)
        code, text = command(stack, "list", "--all")
        lines = text.splitlines()
        assert (
            code == 0
            and len(lines) == 4
            and all(" app " in line and "Chrome on Linux" in line for line in lines)
        )
        code, text = command(stack, "list", "--user", "alice")
        assert code == 0 and len(text.splitlines()) == 2 and "sid s1" in text and "sid s2" in text
        assert command(stack, "end", "--sid", "s1") == (0, "1 ended")
        assert [lives(stack, user) for user in users] == [False, True, True, True]
        assert command(stack, "end", "--user", "bob") == (0, "1 ended")
        assert command(stack, "end", "--user", "bob") == (0, "0 ended")
        assert [lives(stack, user) for user in users] == [False, True, False, True]
        assert command(stack, "end", "--all") == (0, "2 ended")
        assert [lives(stack, user) for user in users] == [False] * 4 and command(
            stack, "list", "--all"
        ) == (0, "")
        log = stack.extproc.output()
        for event in (
            '"sessions_listed"',
            '"sessions_ended"',
            '"user=bob"',
            '"sid=s1"',
            '"all"',
            '"127.0.0.1"',
        ):
            assert event in log
        if workers == 1:
            shows_and_ends_one(stack, users[0], users[1])
        for user in users:
            user.close()


def shows_and_ends_one(stack: Stack, user, other) -> None:
    """By the short id in the list, and by the whole id."""
    signs_in(stack, user, "dora", "s5")
    signs_in(stack, other, "dora", "s6")
    listed = command(stack, "list", "--sid", "s5")[1]
    code, text = command(stack, "show", listed[:16])
    facts = {fact[:12].strip(): fact[13:] for fact in text.splitlines()}
    assert code == 0 and list(facts) == [
        "id", "application", "provider", "issuer", "user", "sid", "device", "address", "since", "last seen", "expires", "or unused",
    ]  # fmt: skip
    assert facts["id"].startswith(listed[:16]) and (facts["user"], facts["sid"]) == ("dora", "s5")
    assert (facts["application"], facts["provider"], facts["device"]) == (
        "app",
        "main",
        "Chrome on Linux",
    )
    assert facts["since"] in listed and facts["since"] < facts["or unused"] < facts["expires"]
    code, text = command(stack, "show", facts["id"], "--json")
    (each,) = json.loads(text)["sessions"]
    assert code == 0 and each["id"] == facts["id"] and each["address"] == facts["address"]
    assert not {"access_token", "id_token", "claims"} & set(each)
    assert (
        command(stack, "end", listed[:16]) == (0, "1 ended")
        and not lives(stack, user)
        and lives(stack, other)
    )
    assert command(stack, "show", facts["id"]) == (
        1,
        "extproc: there is no such session, or it has ended",
    )
    assert command(stack, "end", facts["id"]) == (0, "0 ended")
    assert f'"id={listed[:16]}"' in stack.extproc.output()


@pytest.fixture(scope="module")
def running():
    def settings(stack: Stack):
        over = {"tombstones": {"path": str(stack.directory / "over.sqlite3")}}
        return {"store": {"kind": "cookie", "path": None, **over}}

    with Stack(FakeProvider(), settings=settings) as stack:
        yield stack


def test_of_sessions_in_cookies_those_of_a_user_can_be_ended_and_none_listed(running):
    with running.user() as user:
        signs_in(running, user, "alice", "s1")
        code, text = command(running, "list", "--all")
        assert code == 1 and text == "extproc: sessions are in cookies: they cannot be listed"
        code, text = command(running, "end", "--all")
        assert code == 1 and "a new secret in place of the old ends them all" in text
        assert (
            command(running, "show", "0123456789abcdef")[1]
            == "extproc: sessions are in cookies: they cannot be listed"
        )
        assert "end those of its user" in command(running, "end", "0123456789abcdef")[1]
        assert lives(running, user)
        assert command(running, "end", "--user", "alice") == (0, "ended")
        assert not lives(running, user)


@pytest.mark.threat("ended-session")
@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"headers": {}}, 403),
        ({"headers": {HEADER: "yes"}}, 403),
        ({"headers": {**OPERATOR, "origin": "http://127.0.0.1:9490"}}, 403),
        # A proxy on this machine forwards requests of other machines.
        ({"headers": {**OPERATOR, "x-forwarded-for": "127.0.0.1"}}, 403),
        ({"headers": {**OPERATOR, "host": "evil.example"}}, 421),
        ({"params": {}}, 400),
        ({"params": {"user": ""}}, 400),
        ({"params": {"user": "alice", "all": "1"}}, 400),
        ({"params": {"user": "dora", "id": "0123456789abcdef"}}, 400),
        ({"params": {"id": "0123"}}, 400),
        ({"params": {"id": "0123456789ABCDEF"}}, 400),
        ({"method": "POST"}, 405),
    ],
)
def test_a_page_in_a_browser_or_a_proxy_ends_nothing(running, how, status):
    with running.user() as user:
        signs_in(running, user, "dora", "s9")
        asked = {
            "method": "DELETE",
            "url": f"{running.admin}/sessions",
            "params": {"user": "dora"},
            "headers": OPERATOR,
        }
        answer = httpx.request(**{**asked, "trust_env": False, **how})
        assert answer.status_code == status and lives(running, user)


def test_without_a_processor_it_says_so(running, tmp_path):
    config = tmp_path / "extproc.yaml"
    config.write_text(running.config.read_text().replace(running.settings["admin"], "127.0.0.1:1"))
    argv = [sys.executable, "-m", "extproc", "sessions", "list", "--all", "--config", config]
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, timeout=60, env={"PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 1 and "admin: 127.0.0.1:1 does not answer" in done.stderr
