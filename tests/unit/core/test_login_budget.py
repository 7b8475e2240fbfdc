"""The login cookies of a host: what goes where there are too many."""

import hashlib
from collections.abc import Iterable, Mapping

import pytest
from harness.tokens import ENTROPY_BYTES, NOW, application, cookie_header, pending, request

from extproc.core.application import Application
from extproc.core.cookies import Cookie
from extproc.core.encoding import b64encode
from extproc.core.errors import StateMismatch
from extproc.core.login import MAX_OPENED, login_cookie, pending_of
from extproc.core.login_budget import (
    BURST,
    BURST_BYTES,
    BURST_COOKIES,
    MAX_COOKIE_BYTES,
    MAX_COOKIES,
    MAX_EXPIRED,
    MAX_SHORTENED,
    crowded_out,
)
from extproc.core.oidc.authorization import GRACE, LIFE

APP = application()


def text(length: int, seed: str = "") -> str:
    """A text that no compression makes much shorter."""
    digits = (hashlib.sha512(f"{seed}{n}".encode()).digest() for n in range(length // 80 + 1))
    return "".join(b64encode(digest)[:80] for digest in digits)[:length]


def begun(app: Application, count: int, return_to: int, created: int = NOW):
    """Logins one after another, with return targets of so many characters, the oldest first."""
    return [
        pending(
            app, secret=bytes([n]) * 32, created=created, return_to="/" + text(return_to, f"{n}")
        )
        for n in range(count)
    ]


def after(app: Application, header: str, answered: Iterable[Cookie]) -> dict[str, str]:
    """The login cookies that a browser has after it received these cookies."""
    jar = dict(pair.split("=", 1) for pair in header.split("; ") if pair)
    for cookie in answered:
        jar.pop(cookie.name, None) if not cookie.value else jar.update({cookie.name: cookie.value})
    return jar


def begin(app: Application, header: str, now: int = NOW) -> dict[str, str]:
    new = login_cookie(
        app, pending(app, secret=b"n" * 32, created=now, return_to="/n"), ENTROPY_BYTES
    )
    entropies = [ENTROPY_BYTES] * MAX_SHORTENED
    dropped = crowded_out(app, request(cookie=header), new, now, entropies)
    assert len(dropped) <= MAX_SHORTENED + MAX_EXPIRED
    assert all(cookie.secure for cookie in dropped)
    return after(app, header, (new, *dropped))


def targets(app: Application, jar: Mapping[str, str], logins) -> list[str | None]:
    """Where each login would end; None for a login that the browser forgot."""
    header = "; ".join(f"{name}={value}" for name, value in jar.items())
    ends: list[str | None] = []
    for login in logins:
        try:
            ends.append(pending_of(app, request(cookie=header), login.state).return_to)
        except StateMismatch:
            ends.append(None)
    return ends


@pytest.mark.attack("FLOW-12")
@pytest.mark.parametrize(
    ("age", "most"), [(0, BURST_COOKIES), (BURST - 1, BURST_COOKIES), (BURST, MAX_COOKIES)]
)
def test_login_cookies_are_capped_and_the_oldest_goes(age, most):
    attempts = begun(APP, most, 0, NOW - age)
    jar = begin(APP, cookie_header(APP, *attempts))
    assert targets(APP, jar, attempts) == [None] + ["/"] * (most - 1)
    assert len(jar) == most


@pytest.mark.attack("FLOW-12")
@pytest.mark.parametrize(("age", "most"), [(0, BURST_BYTES), (BURST, MAX_COOKIE_BYTES)])
def test_where_bytes_are_short_the_oldest_logins_lose_their_return_targets_first(age, most):
    """Of all applications of the host, and of logins of one second as well."""
    other = application(name="other-app", url="https://app.example/other/")
    attempts = begun(other, 8 if age else 16, 900, NOW - age)
    header = cookie_header(other, *attempts) + "; __Host-extproc-login-app-0badbeef=junk; a=b"
    jar = begin(APP, header)
    assert "__Host-extproc-login-app-0badbeef" not in jar
    jar.pop("a")
    assert sum(len(name) + len(value) + 3 for name, value in jar.items()) <= most
    ends = targets(other, jar, attempts)
    whole = [attempt.return_to for attempt in attempts]
    lost = sum(end == "/other/" for end in ends)
    gone = sum(end is None for end in ends)
    assert ends == [None] * gone + ["/other/"] * lost + whole[gone + lost :]
    assert lost and len(whole) - gone - lost >= 2


@pytest.mark.attack("FLOW-12")
def test_the_oldest_login_goes_wherever_its_cookie_stands():
    """Browsers order the cookies of one path by age, but none has to."""
    attempts = [
        pending(APP, secret=bytes([n]) * 32, created=NOW - BURST - n) for n in range(MAX_COOKIES)
    ]
    for order in (attempts, attempts[::-1], attempts[1::2] + attempts[::2]):
        jar = begin(APP, cookie_header(APP, *order))
        assert targets(APP, jar, attempts) == ["/wanted?a=1"] * (MAX_COOKIES - 1) + [None]


@pytest.mark.attack("FLOW-12")
@pytest.mark.parametrize(("age", "most"), [(0, BURST_BYTES), (BURST, MAX_COOKIE_BYTES)])
@pytest.mark.parametrize("over", [0, 1])
def test_the_bytes_of_cookies_are_counted_as_a_request_has_them(age, most, over):
    header = cookie_header(APP, *begun(APP, 1, 900, NOW - age))
    name = APP.cookies.login("00000000")
    new = Cookie(name, "x" * (most + over - len(f"; {header}; {name}=")), secure=True)
    answer = crowded_out(APP, request(cookie=header), new, NOW, [ENTROPY_BYTES])
    assert [cookie.name for cookie in answer if cookie.value] == [header.partition("=")[0]] * over


@pytest.mark.attack("FLOW-12")
def test_a_cookie_that_has_no_login_s_name_is_expired():
    name = f"{APP.cookies.logins}of-nobody"
    [login] = begun(APP, 1, 0)
    jar = begin(APP, f"{name}=junk; {cookie_header(APP, login)}; {name}-0badbeef=junk")
    assert targets(APP, jar, [login]) == ["/"] and not [key for key in jar if name in key]


@pytest.mark.attack("FLOW-12")
@pytest.mark.parametrize(("others", "end"), [(MAX_OPENED - 1, "/"), (MAX_OPENED, None)])
def test_a_login_beyond_the_cookies_that_are_opened_is_expired_though_it_is_the_newest(others, end):
    *older, newest = [*begun(APP, others, 0, NOW - 1), pending(APP, return_to="/")]
    jar = begin(APP, cookie_header(APP, newest, *older))
    assert targets(APP, jar, [newest]) == [end]


def test_tabs_that_begin_one_after_another_keep_their_logins():
    """Each request has the cookies of those before it, as a browser sends them."""
    logins, jar = begun(APP, 40, 900), {}
    for login in logins:
        header = "; ".join(f"{name}={value}" for name, value in jar.items())
        new = login_cookie(APP, login, ENTROPY_BYTES)
        dropped = crowded_out(
            APP, request(cookie=header), new, NOW, [ENTROPY_BYTES] * MAX_SHORTENED
        )
        jar = after(APP, header, (new, *dropped))
    ends = targets(APP, jar, logins)
    assert None not in ends and ends[-2:] == [login.return_to for login in logins[-2:]]


def test_a_shorter_cookie_lasts_no_longer_and_a_forgotten_login_gets_none():
    logins = begun(APP, 8, 900, NOW - BURST)
    new = login_cookie(APP, pending(APP), ENTROPY_BYTES)
    entropies = [ENTROPY_BYTES] * MAX_SHORTENED
    answer = crowded_out(APP, request(cookie=cookie_header(APP, *logins)), new, NOW, entropies)
    assert {cookie.max_age for cookie in answer if cookie.value} == {LIFE + GRACE - BURST}
    asked = request(cookie=cookie_header(APP, *begun(APP, 8, 900, NOW - LIFE - GRACE)))
    assert not [cookie for cookie in crowded_out(APP, asked, new, NOW, entropies) if cookie.value]
    asked = request(cookie=cookie_header(APP, *logins))
    assert not [cookie for cookie in crowded_out(APP, asked, new, NOW, []) if cookie.value]
