"""What a page of another origin gets, in words: the answer of a preflight, and whether the page may
read other answers. Read from the policy of the route in the generated configuration.
"""

from extproc.core.http import Request
from extproc.envoyconfig.tree import Tree, at, items


def is_preflight(request: Request) -> bool:
    """Whether the request is a preflight to Envoy's cors filter (Fetch standard section 4.8)."""
    return bool(
        request.method == "OPTIONS"
        and request.header("origin")
        and request.header("access-control-request-method")
    )


def allows(policy: Tree, origin: str) -> bool:
    """Whether a policy lists an origin."""
    listed = [each.get("exact") for each in items(policy, "allow_origin_string_match")]
    return "*" in listed or origin in listed


def of_answers(policy: Tree, origin: str) -> str:
    """Whether a page of an origin may read the answer of a request that is no preflight."""
    if not allows(policy, origin):
        return f"cors does not list {origin}: its pages cannot read the answer"
    user = ", and act as the user" if policy.get("allow_credentials") else ""
    return f"cors lists {origin}: its pages may read the answer{user}"


def of_preflight(policy: Tree, request: Request, name: str) -> tuple[str, str]:
    """Envoy's own answer to a preflight of a listed origin, and what to do if the browser then
    refuses the request all the same.

    Args:
        policy: the policy of the route.
        request: the preflight.
        name: the application.
    """
    origin, method = request.header("origin"), request.header("access-control-request-method")
    allowed = str(at(policy, "allow_methods"))
    headers = str(at(policy, "allow_headers") or "") or "none beside those that every page may set"
    what = (
        f"Envoy itself answers the preflight 200: pages of {origin} may use {allowed}; headers: "
        f"{headers}"
    )
    # Pages may use these without being allowed to (Fetch standard section 4.8, step 7.6).
    if method in (*allowed.split(", "), "GET", "HEAD", "POST"):
        return what, ""
    return what, f"the browser refuses {method}; list it in applications.{name}.cors.methods"
