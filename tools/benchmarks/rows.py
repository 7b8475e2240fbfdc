"""The rows of the table. Each prepares its subjects, lets them take turns, returns results."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from harness.browser import WebUser
from harness.fake_provider import FakeProvider
from harness.ports import free_port
from harness.providers import Place

from benchmarks.bearer import row_bearer
from benchmarks.gateways import (
    BROWSER,
    SCRIPT_CALL,
    Gateway,
    Signed,
    cluster,
    envoy,
    jwt_authn,
    oauth2,
    plain,
    public_keys,
    signed_in,
    upstream,
)
from benchmarks.growth import row_flood, row_growth, row_workers
from benchmarks.logins import row_held, row_login
from benchmarks.measure import Plan, Result, Subject
from benchmarks.rules import row_rules


def row_signed_in(plan: Plan) -> list[Result]:
    """Envoy's CPU for one request of a signed-in browser.

    Bare, with jwt_authn alone, with extproc's whole fast path, and with Envoy's oauth2 filter.
    """
    with ExitStack() as stack:
        up = stack.enter_context(upstream())
        ours = stack.enter_context(Gateway(up, identity={"assertion_lifetime": 3600}))
        user = stack.enter_context(signed_in(ours))
        streams = ours.streams()
        cookies = user.cookies.header(ours.url("/"))
        assertion = jwt_authn(public_keys(ours), "extproc-assertion-app", ours.url("/"))
        mine = {"Cookie": cookies}

        def peer(name: str, *filters: dict[str, Any]) -> Subject:
            port = free_port()
            running = stack.enter_context(envoy(plain(port, up, filters), port))
            return Subject(name, f"http://localhost:{port}/", (running.pid,), mine)

        results = plan.compare(
            "signed-in",
            peer("bare Envoy"),
            peer("jwt_authn alone", assertion),
            Subject("extproc, fast path", ours.url("/"), (ours.envoy.pid, ours.extproc.pid), mine),
            _filter("Envoy's oauth2 filter, short opaque tokens", ours.provider, up, stack),
            _filter(
                "Envoy's oauth2 filter, signed tokens",
                stack.enter_context(_opened(Signed(behind=False))),
                up,
                stack,
            ),
        )
        assert ours.streams() == streams, "the fast path was not taken"
        return results


@contextmanager
def _opened(provider: FakeProvider) -> Iterator[FakeProvider]:
    provider.open(Place("", (), Path(), None))
    yield provider
    provider.close()


def _filter(name: str, provider: FakeProvider, up: int, stack: ExitStack) -> Subject:
    """Envoy's own oauth2 filter, with a signed-in user."""
    port, (filter_, secrets) = free_port(), oauth2(provider.issuer)
    idp = cluster("idp", int(provider.url.rpartition(":")[2]))
    running = stack.enter_context(envoy(plain(port, up, [filter_], [idp], secrets), port))
    user, url = stack.enter_context(WebUser()), f"http://localhost:{port}/"
    assert user.go(url).status_code == 200, user.journey()
    return Subject(name, url, (running.pid,), {"Cookie": user.cookies.header(url)})


def row_processed(plan: Plan) -> list[Result]:
    """The processor's CPU for one request that needs a decision, beside a stock server."""
    with ExitStack() as stack:
        up = stack.enter_context(upstream())
        ours, stock = (
            stack.enter_context(Gateway(up)),
            stack.enter_context(Gateway(up, reference=True)),
        )
        with signed_in(ours) as user:
            session = f"extproc-session-app={user.cookies.get('extproc-session-app').value}"
        stock_pid, pid = (stock.extproc.pid,), (ours.extproc.pid,)
        results = plan.compare(
            "processed",
            Subject("stock grpc.aio, redirect", stock.url("/page"), stock_pid, BROWSER, 303),
            Subject("extproc, anonymous redirect", ours.url("/page"), pid, BROWSER, 303),
            Subject("extproc, 401", ours.url("/api"), pid, SCRIPT_CALL, 401),
        )
        return results + plan.compare(
            "renewed",
            Subject("stock grpc.aio, continue", stock.url("/continue"), stock_pid, BROWSER),
            Subject(
                "extproc, stale assertion renewed from SQLite",
                ours.url("/page"),
                pid,
                {**BROWSER, "Cookie": session},
            ),
        )


def row_tracing(plan: Plan) -> list[Result]:
    """The processor's CPU for one redirect and one 401, by tracing.

    Without the SDK; below a parent that is not sampled; sampled, with spans sent to a collector (a
    sink); sampled, with spans kept in the processor, Envoy's among them.
    """
    with ExitStack() as stack:
        up = stack.enter_context(upstream())
        sink = f"http://127.0.0.1:{up}"
        gateways = {
            "no SDK": Gateway(up, env={"OTEL_SDK_DISABLED": "true"}, tracing={"sample": 0}),
            "not sampled": Gateway(up, tracing={"sample": 0}),
            "sampled, to a collector": Gateway(up, tracing={"sample": 1, "endpoint": sink}),
            "sampled, kept here": Gateway(up, tracing={"sample": 1}),
        }
        for gateway in gateways.values():
            stack.enter_context(gateway)

        def subjects(path: str, headers: Mapping[str, str], status: int) -> list[Subject]:
            return [
                Subject(
                    f"{name}, {status}", gateway.url(path), (gateway.extproc.pid,), headers, status
                )
                for name, gateway in gateways.items()
            ]

        return plan.compare("tracing", *subjects("/page", BROWSER, 303)) + plan.compare(
            "tracing", *subjects("/api", SCRIPT_CALL, 401)
        )


ROWS: dict[str, Callable[[Plan], list[Result]]] = {
    "signed-in": row_signed_in,
    "processed": row_processed,
    "rules": row_rules,
    "bearer": row_bearer,
    "tracing": row_tracing,
    "login": row_login,
    "held": row_held,
    "flood": row_flood,
    "workers": row_workers,
    "growth": row_growth,
}
