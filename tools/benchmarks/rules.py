"""What rules cost a signed-in request, which Envoy decides by itself."""

from contextlib import ExitStack
from typing import Any

from benchmarks.gateways import Gateway, signed_in, upstream
from benchmarks.measure import Plan, Result, Subject

COUNTS = (0, 1, 50)


def rules(count: int) -> list[dict[str, Any]]:
    """So many rules, each with a path, a method and a group that the user has."""
    return [
        {
            "name": f"rule-{number}",
            "paths": [f"/section-{number}/"],
            "methods": ["GET", "POST"],
            "allow": {"users": ["alice"]},
        }
        for number in range(count)
    ]


def row_rules(plan: Plan) -> list[Result]:
    """Envoy's CPU for one request of a signed-in browser, with no rule, one, and fifty.

    The request is one that the last rule decides, and one that none decides.
    """
    with ExitStack() as stack:
        up = stack.enter_context(upstream())
        subjects = []
        gateways = []
        for count in COUNTS:
            lifetime = {"assertion_lifetime": 3600}
            gateway = Gateway(up, rules=rules(count), identity=lifetime)
            stack.enter_context(gateway)
            cookies = stack.enter_context(signed_in(gateway)).cookies.header(gateway.url("/"))
            gateways.append((gateway, gateway.streams()))
            for path in ("/", f"/section-{count - 1}/x")[: 1 + (count > 0)]:
                where = "no rule decides" if path == "/" else "the last one decides"
                pids = (gateway.envoy.pid, gateway.extproc.pid)
                subjects.append(
                    Subject(f"{count} rules, {where}", gateway.url(path), pids, {"Cookie": cookies})
                )
        results = plan.compare("rules", *subjects)
        assert all(gateway.streams() == streams for gateway, streams in gateways), (
            "the fast path was not taken"
        )
        return results
