"""The rows `workers`, `flood` and `growth`: more processes, requests, sessions, applications."""

import secrets
import sqlite3
import time
from contextlib import ExitStack

from harness.processes import resident

from benchmarks.gateways import BROWSER, Gateway, signed_in, upstream
from benchmarks.measure import Plan, Result, Subject, load, ratios

# Bytes of a record with an ID token, an access token and a few claims.
SEALED = 1200


def row_workers(plan: Plan) -> list[Result]:
    """Anonymous redirects with one worker and with two: requests a second, and CPU of all."""
    with ExitStack() as stack:
        up = stack.enter_context(upstream())
        gateways = {count: stack.enter_context(Gateway(up, workers=count)) for count in (1, 2)}
        for gateway in gateways.values():
            stack.enter_context(signed_in(gateway))
        return plan.compare(
            "workers", *(_redirects(f"{count} workers", each) for count, each in gateways.items())
        )


def _redirects(name: str, gateway: Gateway) -> Subject:
    return Subject(name, gateway.url("/page"), gateway.processor_pids(), BROWSER, 303)


def row_flood(plan: Plan) -> list[Result]:
    """The processor's memory after many anonymous navigations, of which it keeps nothing.

    The reference is its memory after a tenth of them.
    """
    with ExitStack() as stack:
        gateway = stack.enter_context(Gateway(stack.enter_context(upstream())))
        stack.enter_context(signed_in(gateway))
        subject, seconds = _redirects("flood", gateway), max(1.0, plan.seconds)
        asked = lost = 0
        sizes: list[float] = []
        for until in (plan.flood // 10, plan.flood):
            while asked < until:
                sample = load(subject, seconds, plan.connections, plan.script)
                asked, lost = asked + sample.requests, lost + sample.lost
            plan.say(f"flood: {asked} navigations")
            sizes.append(resident(gateway.extproc.pid) / 1e6)
        name = f"extproc, after {plan.flood} anonymous navigations"
        return [
            ratios(
                "flood", name, "after a tenth of them", "memory", "MB", sizes[1:], sizes[:1], lost
            )
        ]


def row_growth(plan: Plan) -> list[Result]:
    return _stored(plan) + _applications(plan) + _foreign_cookies(plan)


def _stored(plan: Plan) -> list[Result]:
    """A renewed assertion, which reads the store, with more and more sessions in it."""
    with ExitStack() as stack:
        up, subjects = stack.enter_context(upstream()), []
        for count in plan.stored:
            gateway = stack.enter_context(Gateway(up))
            with signed_in(gateway) as user:
                cookie = f"extproc-session-app={user.cookies.get('extproc-session-app').value}"
            plan.say(f"growth: {count} sessions are being stored")
            fill(gateway, count)
            headers = {**BROWSER, "Cookie": cookie}
            subjects.append(
                Subject(
                    f"renewal, {count} sessions stored",
                    gateway.url("/page"),
                    (gateway.extproc.pid,),
                    headers,
                )
            )
        return plan.compare("stored", *subjects)


def fill(gateway: Gateway, count: int) -> None:
    """Write so many sessions of other users into the store's table."""
    database = sqlite3.connect(gateway.directory / "extproc.sqlite3", timeout=30)
    columns = [column[1] for column in database.execute("PRAGMA table_info(session)")]
    expires, touched = int(time.time()) + 40_000, int(time.time())
    known = {"key": None, "sealed": None, "expires": expires, "touched": touched}
    rest = {name: b"" for name in columns if name not in known}
    row = (
        f"INSERT INTO session ({', '.join([*known, *rest])}) VALUES "
        f"({', '.join('?' * (len(known) + len(rest)))})"
    )
    some = secrets.token_bytes(SEALED)
    for start in range(0, count, 50_000):
        with database:
            values = (
                (secrets.token_bytes(32), some, expires, touched, *rest.values())
                for _ in range(min(50_000, count - start))
            )
            database.executemany(row, values)
    database.close()


def _applications(plan: Plan) -> list[Result]:
    """A signed-in request and a redirect, with more and more applications on the host.

    They go to the first application, which matches last.
    """
    with ExitStack() as stack:
        up, fast, slow = stack.enter_context(upstream()), [], []
        for count in plan.applications:
            gateway = stack.enter_context(
                Gateway(up, applications=count, identity={"assertion_lifetime": 3600})
            )
            user = stack.enter_context(signed_in(gateway))
            cookies = {"Cookie": user.cookies.header(gateway.url("/"))}
            fast.append(
                Subject(
                    f"fast path, {count} applications",
                    gateway.url("/"),
                    (gateway.envoy.pid,),
                    cookies,
                )
            )
            pids = (gateway.extproc.pid,)
            slow.append(
                Subject(f"redirect, {count} applications", gateway.url("/page"), pids, BROWSER, 303)
            )
        return plan.compare("applications", *fast) + plan.compare("applications", *slow)


def _foreign_cookies(plan: Plan) -> list[Result]:
    """A signed-in request with the application's own cookies beside the gateway's.

    The reference is a bare Envoy without the gateway's cookies.
    """
    with ExitStack() as stack:
        up = stack.enter_context(upstream())
        gateway = stack.enter_context(Gateway(up, identity={"assertion_lifetime": 3600}))
        ours = stack.enter_context(signed_in(gateway)).cookies.header(gateway.url("/"))
        subjects = []
        for size in (200, 8000):
            foreign = "; ".join(f"c{index}={'x' * 95}" for index in range(size // 100))
            headers = {"Cookie": f"{foreign}; {ours}"}
            subjects.append(
                Subject(
                    f"fast path, {size} B of foreign cookies",
                    gateway.url("/"),
                    (gateway.envoy.pid,),
                    headers,
                )
            )
        return plan.compare("cookies", *subjects)
