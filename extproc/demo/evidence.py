"""What the demo's check can look at beside the browser: Envoy's access log and statistics, and
traces.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx

from extproc.demo.layout import Layout
from extproc.traces import Event, Span

PATIENCE = 15.0  # seconds for logs and spans to arrive


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether the condition comes true within PATIENCE seconds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def is_logged(layout: Layout, method: str, path: str) -> bool:
    """Whether such a request is in Envoy's access log."""
    if not layout.access_log.exists():
        return False
    lines = [
        json.loads(line)
        for line in layout.access_log.read_text().splitlines()
        if line.startswith("{")
    ]
    return any(
        line.get("method") == method and str(line.get("path", "")).partition("?")[0] == path
        for line in lines
    )


def streams(layout: Layout) -> int:
    """How many ext_proc streams Envoy has opened so far."""
    url = f"http://127.0.0.1:{layout.envoy_admin_port}/stats"
    text = httpx.get(url, params={"filter": "ext_proc.*streams_started"}, trust_env=False).text
    return sum(int(line.rpartition(":")[2]) for line in text.splitlines() if ":" in line)


def trace(
    layout: Layout, trace_id: str, complete: Callable[[tuple[Span, ...]], bool]
) -> tuple[Span, ...]:
    """The spans of one trace in the processor's admin, when they are complete, or after PATIENCE
    seconds.
    """
    spans: tuple[Span, ...] = ()

    def look() -> bool:
        nonlocal spans
        answer = httpx.get(f"{layout.traces}/{trace_id}.json", trust_env=False)
        found = answer.json()["spans"] if answer.status_code == 200 else []
        spans = tuple(_span(raw) for raw in found)
        return complete(spans)

    eventually(look)
    return spans


def _span(raw: dict[str, Any]) -> Span:
    events = tuple(Event(event["name"], event["time_ns"]) for event in raw["events"])
    return Span(
        **{**raw, "attributes": tuple(raw["attributes"].items()), "events": events, "links": ()}
    )


def json_of(answer: httpx.Response) -> dict[str, Any]:
    """The answer's JSON object; an empty one if it has none."""
    try:
        value = answer.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
