"""Writes docs/settings.md from the models: `PYTHONPATH=.:tests python tools/reference.py >
docs/settings.md`; docs/reasons.md from the table of reasons: `... tools/reference.py reasons >
docs/reasons.md`. A test compares them.
"""

import sys
from collections.abc import Iterator
from typing import get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from extproc.addresses import Address
from extproc.core.reasons import Reason, outcomes, provider, requests, tokens
from extproc.settings import Settings
from extproc.settings.load import models_in

HEAD = """# Settings

One YAML file, `extproc.yaml` unless `--config` says otherwise, for `extproc serve`, `extproc envoy` and `extproc check` alike. This page
is made from the models (`tools/reference.py`); `extproc schema` prints the same as a JSON schema, for editors.

- `${NAME}` in any value is the environment variable of that name; `$${NAME}` is that text itself.
- Durations are seconds, or text such as `90s`, `30m`, `12h`, `7d`. Addresses to listen on are `host:port` or `unix:/path`.
- Unknown keys and wrong types are faults, each said in a line of its own with the key's path.

"""
FEET = """
## Claims in headers

Every identity header is made by one rule, and read back by one rule: **split at `,`, then percent-decode each part as UTF-8.** Text is
one part; a list has a part for each element; numbers, booleans and objects are their JSON. Commas, percent signs, control characters,
non-ASCII and blanks at the ends are always percent-encoded, so no claim can end a header, split a value or add a group: the groups
`["a,admin", "dev"]` arrive as `a%2Cadmin,dev`. A claim that is absent, null or empty has no header, whatever the client sent. A claim
with a dot in its name goes into objects: `realm_access.roles`.

What is in the headers comes from the ID token, with UserInfo's claims over it (both for the same `sub`, or the login fails).

## Sessions and cookies

Where sessions are kept, what is in them and how to choose: [sessions](sessions.md). A session ends after `session.lifetime`, or after
`session.idle` without a request. Envoy lets a signed-in browser through by itself for `identity.assertion_lifetime` at most: a session
that ended is noticed within that time. `0` has every request decided by the processor. A token of more than 3,800 bytes (many groups) is
not issued; such users are decided by the processor each time.

Applications on one host share an origin: no gateway can keep them apart in a browser. Give applications that do not trust each other
hosts of their own.

## The key ring

The first `secret` seals and signs, all of them open. To change it without signing anybody out, put the new one first and keep the old one
second for a while: step by step, for one machine and for several, in [keys](keys.md). Nothing is restarted for it.

## Who may speak to the processor

Whoever reaches `listen` can say which application a request is for and which address it comes from, so it is Envoy's alone:

- on loopback, the default;
- a unix socket, which its owner and its group may open and nobody else (`listen_mode`), whatever the umask says: Envoy runs as the same
  user or in the same group;
- or mutual TLS, `listen_tls`: Envoy verifies the processor by `ca` and `name`, the processor verifies Envoy by `ca` and `envoy_name`, so that
  another certificate of the same authority does not open the door. The processor reads its own certificate and `ca` again when they
  change; Envoy reads its own when it starts, so give Envoy's a longer life, or start Envoy again (hot restart keeps connections).

Plain TCP off loopback is refused unless `allow_plaintext` says that it is meant. The same holds for `admin`, which shows traces and ends
sessions, and for `gateway.admin`, which can stop Envoy.
"""
REASONS_HEAD = """# Reasons

Every way a request can end has a reason code. It is on the page beside the trace id, in the problem document (`reason`), in Envoy's
`%RESPONSE_CODE_DETAILS%` and access log (`reason`), in the spans (`extproc.reason`, and `error.type` of errors), in the log
([logs](logs.md)) and in the metrics. `extproc reasons CODE` prints a row of this page, which is made from the table in
`extproc/core/reasons/` (`tools/reference.py reasons`); a test provokes each.

Start from what the user has: the reason and the trace id of the page, the line `answered` of that trace id in the log, whose `detail`
says more than a page may.
"""
REASONS_PARTS = (
    ("The request goes on to the application", outcomes.ADMITTED),
    ("Answers that are no refusal", outcomes.ANSWERED),
    ("Refused: the request", requests.REQUESTS),
    ("Refused: what came back from the provider by way of the browser", requests.CALLBACKS),
    ("Refused: the provider's error in the callback", provider.ERRORS),
    ("Refused: what the provider answered to us", provider.FAULTS),
    (
        "Refused: the provider is away; nothing was consumed, a reload completes a login",
        provider.AWAY,
    ),
    ("Refused: checks of the ID token", tokens.ID_TOKEN),
    ("Refused: checks of a logout token", tokens.LOGOUT_TOKEN),
    ("Refused: this service", requests.OURS),
    (
        "No answer of ours: the stream ends with an error, and Envoy answers if anybody is there",
        requests.ABORTED,
    ),
)
REASONS_FEET = """
## Envoy's own

Without a `reason` in the access log the processor was not asked, or could not be: the field `details` then has Envoy's word.

| details | status | what it is |
|---|---|---|
| `via_upstream` | any | the application's answer to a request that Envoy let through by its assertion |
| `local_rate_limited` | 429 | too many undecided requests from one address: `gateway.rate_limit` |
| `rbac_access_denied_matched_policy[none]` | 403 | the gate: neither an assertion nor a decision; the configuration is not as `extproc envoy` prints it |
| `ext_proc_error_*` | 500, 503 | the processor ended the stream, or is away |
| `ext_proc_error_*timeout*` | 504 | the processor did not answer within `timeouts.message` |
| `route_not_found`, `direct_response` | 404 | no application has this host and path |
"""


def reasons() -> str:
    parts = [REASONS_HEAD]
    for title, rows in REASONS_PARTS:
        parts.append(
            f"\n## {title}\n\n| reason | status | level | what users read | what it is, and "
            "what to do |\n|---|---|---|---|---|\n"
        )
        parts += [reason_row(row) for row in rows]
    return "".join(parts) + REASONS_FEET


def reason_row(row: Reason) -> str:
    cells = (f"`{row.code}`", str(row.status or ""), row.level.name.lower(), row.text, row.remedy)
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |\n"


def models(
    model: type[BaseModel], path: str, seen: set[type]
) -> Iterator[tuple[str, type[BaseModel]]]:
    """Each model once, with where it stands; one of several kinds with its kind."""
    yield path, model
    seen.add(model)
    for name, field in model.model_fields.items():
        many = get_origin(field.annotation) is dict
        for inner in models_in(field.annotation):
            if inner not in seen:
                place = (
                    f"{path.partition(',')[0]}{'.' if path else ''}{name}{'.NAME' if many else ''}"
                )
                yield from models(inner, place + kind(inner), seen)


def kind(model: type[BaseModel]) -> str:
    found = model.model_fields.get("kind")
    return f", kind {get_args(found.annotation)[0]}" if found is not None else ""


def default(field: FieldInfo) -> str:
    if field.is_required():
        return "**needed**"
    value = field.get_default()
    if value is None or value is PydanticUndefined:
        return ""
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, tuple):
        value = list(value)
    if isinstance(value, Address) or not isinstance(value, dict | list | bool):
        return f"`{value:g}`" if isinstance(value, float) else f"`{value}`" if str(value) else ""
    return (
        f"`{str(value).lower() if isinstance(value, bool) else value}`"
        if value not in ({}, [])
        else ""
    )


def reference() -> str:
    parts = [HEAD]
    for path, model in models(Settings, "", set()):
        place, _, of_kind = path.partition(", ")
        parts.append(
            f"## `{place}`{f', {of_kind}' if of_kind else ''}\n\n" if path else "## The file\n\n"
        )
        if path and model.__doc__:
            parts.append(" ".join(model.__doc__.split()) + "\n\n")
        parts.append("| key | default | what it is |\n|---|---|---|\n")
        for name, field in model.model_fields.items():
            parts.append(
                f"| `{name}` | {default(field)} | "
                f"{(field.description or '').replace('|', '&#124;')} |\n"
            )
        parts.append("\n")
    return "".join(parts).rstrip("\n") + "\n" + FEET


if __name__ == "__main__":
    print(reasons() if "reasons" in sys.argv[1:] else reference(), end="")
