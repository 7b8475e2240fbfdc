"""The generated configuration as tests read it: short settings in, trees of plain values out."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from betterproto2 import Casing

from extproc.checks.lint import lint
from extproc.envoyconfig import bootstrap
from extproc.envoyconfig.snapshot import HttpListener, generated
from extproc.settings import Settings
from harness.envoy_parts import settings

UPSTREAM = "http://127.0.0.1:9600"
APP: dict[str, Any] = {"hosts": ["localhost"], "provider": "main", "upstream": UPSTREAM}
OPEN: dict[str, Any] = {"hosts": ["localhost"], "exclude": True, "upstream": UPSTREAM}


def simple(**changes: Any) -> Settings:
    """One application with a login, on every path of localhost."""
    return settings(**{"applications": {"app": APP}, **changes})


def app_listener(**changes: Any) -> HttpListener:
    """The listener of one application with these changes; made once for the same changes."""
    return _app_listener(json.dumps(changes))


@cache
def _app_listener(changes: str) -> HttpListener:
    return generated(simple(applications={"app": {**APP, **json.loads(changes)}})).listeners[0]


def tree(made: Settings) -> dict[str, Any]:
    """The whole of the generated configuration."""
    return bootstrap(made).to_dict(casing=Casing.SNAKE)


def messages(node: object) -> Iterator[dict[str, Any]]:
    """Every mapping of a configuration."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for entry in node:
            yield from messages(entry)


def typed(made: Settings, name: str) -> list[dict[str, Any]]:
    """Every message whose type ends with this name."""
    return [
        message
        for message in messages(tree(made))
        if str(message.get("@type", "")).endswith("." + name)
    ]


def http_filter(made: Settings, name: str) -> dict[str, Any]:
    """The configuration of the HTTP filter of that name."""
    (manager,) = typed(made, "HttpConnectionManager")
    return next(
        dict(entry["typed_config"]) for entry in manager["http_filters"] if entry["name"] == name
    )


def cluster(made: Settings, name: str) -> dict[str, Any]:
    """The cluster of that name."""
    clusters = tree(made)["static_resources"]["clusters"]
    return next(dict(each) for each in clusters if each["name"] == name)


def addresses(of: dict[str, Any]) -> list[str]:
    """Where a cluster leads: host:port, or the path of a socket."""
    found = [
        endpoint["endpoint"]["address"]
        for endpoint in of["load_assignment"]["endpoints"][0]["lb_endpoints"]
    ]
    return [
        address["pipe"]["path"]
        if "pipe" in address
        else f"{address['socket_address']['address']}:{address['socket_address']['port_value']}"
        for address in found
    ]


def routes(made: Settings) -> dict[str, dict[str, Any]]:
    """All routes of the gateway by name, in order."""
    (manager,) = typed(made, "HttpConnectionManager")
    return {
        route["name"]: route
        for host in manager["route_config"]["virtual_hosts"]
        for route in host["routes"]
    }


def lint_lines(made: Settings, descriptors: int = 100_000) -> list[str]:
    """The warnings of `lint`, a line each: the key, what is wrong, what to do."""
    return [
        f"{warning.part}: {warning.what}; {warning.remedy}" for warning in lint(made, descriptors)
    ]
