"""The rows of the table. Each sets its subjects up, has them take turns, and gives its results."""

from collections.abc import Callable
from contextlib import ExitStack

from rig.ports import free_port
from rig.webuser import WebUser

from benchmarks.gateways import (
    BROWSER,
    SCRIPT_CALL,
    Gateway,
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


def row_signed_in(plan: Plan) -> list[Result]:
    """Envoy's CPU for one request of a signed-in browser: bare, jwt_authn alone, our whole fast path, Envoy's oauth2 filter."""
    with ExitStack() as stack:
        up = stack.enter_context(upstream())
        ours = stack.enter_context(Gateway(up, identity={"assertion_lifetime": 3600}))
        user = stack.enter_context(signed_in(ours))
        streams = ours.streams()
        cookies = user.cookies.header(ours.url("/"))
        ports = {name: free_port() for name in ("bare", "jwt", "oauth2")}
        assertion = jwt_authn(public_keys(ours), "extproc-assertion-app", ours.url("/"))
        filter_, secrets = oauth2(ours.provider.issuer)
        idp = cluster("idp", int(ours.provider.url.rpartition(":")[2]))
        running = {
            "bare": stack.enter_context(envoy(plain(ports["bare"], up), ports["bare"])),
            "jwt": stack.enter_context(envoy(plain(ports["jwt"], up, [assertion]), ports["jwt"])),
            "oauth2": stack.enter_context(
                envoy(plain(ports["oauth2"], up, [filter_], [idp], secrets), ports["oauth2"])
            ),
        }
        peer = stack.enter_context(WebUser())
        theirs = f"http://localhost:{ports['oauth2']}/"
        assert peer.go(theirs).status_code == 200, peer.journey()
        results = plan.compare(
            "signed-in",
            Subject("bare Envoy", f"http://localhost:{ports['bare']}/", (running["bare"].pid,), {"Cookie": cookies}),
            Subject("jwt_authn alone", f"http://localhost:{ports['jwt']}/", (running["jwt"].pid,), {"Cookie": cookies}),
            Subject("extproc, fast path", ours.url("/"), (ours.envoy.pid, ours.extproc.pid), {"Cookie": cookies}),
            Subject("Envoy's oauth2 filter", theirs, (running["oauth2"].pid,), {"Cookie": peer.cookies.header(theirs)}),
        )
        assert ours.streams() == streams, "the fast path was not taken"
        return results


def row_processed(plan: Plan) -> list[Result]:
    """The processor's CPU for one request that needs a decision, beside a stock server that only parses and answers."""
    with ExitStack() as stack:
        up = stack.enter_context(upstream())
        ours, stock = stack.enter_context(Gateway(up)), stack.enter_context(Gateway(up, reference=True))
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
                "extproc, stale assertion renewed from SQLite", ours.url("/page"), pid, {**BROWSER, "Cookie": session}
            ),
        )


ROWS: dict[str, Callable[[Plan], list[Result]]] = {
    "signed-in": row_signed_in,
    "processed": row_processed,
    "login": row_login,
    "held": row_held,
    "flood": row_flood,
    "workers": row_workers,
    "growth": row_growth,
}
