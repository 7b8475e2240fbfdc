"""What a request of an API caller costs, beside one of a signed-in browser."""

import json
import time
from contextlib import ExitStack
from typing import Any

from harness.ports import free_port
from harness.tokens import Signer

from benchmarks.gateways import Gateway, envoy, jwt_authn, plain, signed_in, upstream
from benchmarks.measure import Plan, Result, Subject

RULES: list[dict[str, Any]] = [
    {"name": "api", "paths": ["/api/"], "accept": ["bearer"], "allow": {"scopes": ["orders:read"]}},
]


def access_token(gateway: Gateway) -> str:
    """A JWT access token (RFC 9068) for the gateway's application, good for an hour."""
    now = int(time.time())
    claims = {
        "iss": gateway.provider.issuer,
        "sub": "machine",
        "client_id": "machine",
        "aud": gateway.url("/"),
        "scope": "orders:read",
        "iat": now,
        "exp": now + 3600,
    }
    return Signer().sign(claims, typ="at+jwt")


def row_bearer(plan: Plan) -> list[Result]:
    """The CPU of Envoy and the processor for one request with an access token that is known.

    The reference is a signed-in browser's request on the same gateway. The least that the request
    of an API caller could cost is jwt_authn alone, which looks at no scope and no revocation.
    """
    with ExitStack() as stack:
        up = stack.enter_context(upstream())
        lifetime = {"assertion_lifetime": 3600}
        ours = stack.enter_context(Gateway(up, rules=RULES, identity=lifetime))
        cookies = stack.enter_context(signed_in(ours)).cookies.header(ours.url("/"))
        token = access_token(ours)
        port = free_port()
        keys = json.dumps({"keys": ours.provider.keys})
        alone = jwt_authn(keys, "", ours.provider.issuer, audience=ours.url("/"))
        peer = stack.enter_context(envoy(plain(port, up, [alone]), port))
        pids = (ours.envoy.pid, ours.extproc.pid)
        bearer = {"Authorization": f"Bearer {token}"}
        return plan.compare(
            "bearer",
            Subject("signed-in browser, fast path", ours.url("/"), pids, {"Cookie": cookies}),
            Subject("jwt_authn alone", f"http://localhost:{port}/api/x", (peer.pid,), bearer),
            Subject("access token that is known", ours.url("/api/x"), pids, bearer),
        )
