"""Generates docs/settings.md from the models of the settings, and docs/reasons.md from the table of
reasons.

    python tools/reference.py > docs/settings.md
    python tools/reference.py reasons > docs/reasons.md

tests/project/test_reference.py compares the files with the code.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel, PlainSerializer
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from extproc.core.reasons import Reason, outcomes, provider, requests, tokens
from extproc.settings import Settings
from extproc.settings.faults import models_in

HEAD = """# Settings

One YAML file for `extproc serve`, `extproc envoy` and `extproc check` alike: `extproc.yaml`, unless
`--config` names another. This page is generated from the models by `tools/reference.py`;
`extproc schema` prints them as a JSON schema, for editors.

- `${NAME}` in any value is replaced by the environment variable of that name; `$${NAME}` is that
  text itself.
- Durations are seconds, or text such as `90s`, `30m`, `12h`, `7d`. Addresses to listen on are
  `host:port` or `unix:/path`.
- Every file that it names, and it itself, is a regular file: a pipe or a device is refused, and so
  is more than 8 MB of settings, 64 kB of a secret or 4 MB of a PEM file.
- Unknown keys and wrong types are errors. Each is reported in a line of its own, with the path of
  the key.

"""
FEET = """
## Claims in headers

Every identity header is written by one rule, and read back by one rule: **split at `,`, then
percent-decode each part as UTF-8.** Text is one part; a list has a part for each element; numbers,
booleans and objects are their JSON. Commas, percent signs, control characters, non-ASCII characters
and blanks at the ends are always percent-encoded, so a claim can neither end a header nor split a
value nor add a group: the groups `["a,admin", "dev"]` arrive as `a%2Cadmin,dev`. A claim that is
absent, null or empty has no header, whatever the client sent. A dot in the name of a claim reads
from within an object: `realm_access.roles`.

The headers contain the claims of the ID token, overridden by those of UserInfo. Both must be for the
same `sub`; otherwise the login fails.

## Sessions and cookies

[Sessions](sessions.md) describes where sessions are kept, what they contain and how to choose. A
session ends after `session.lifetime`, or after `session.idle` without a request. Envoy lets a
signed-in browser through by itself for at most `identity.assertion_lifetime`, so the end of a
session takes effect within that time. With `0` the processor decides every request. An assertion of
more than 3,800 bytes (many groups) is not issued; the processor then decides every request of that
user.

Applications on one host share an origin, so no gateway can separate them in a browser. Give
applications that do not trust each other hosts of their own.

## The key ring

The first `secret` encrypts and signs, every one decrypts. To change it without signing users out,
put the new one first and keep the old one second for a while. [Keys](keys.md) has the steps for one
machine and for several; no restart is needed.

## Who may reach the processor

A client that reaches `listen` can claim that a request is for any application and from any address.
Only Envoy may therefore reach it, in one of three ways:

- by a unix socket, which only its owner and its group may open (`listen_mode`), whatever the umask
  is: Envoy runs as the same user or in the same group. This is the best way wherever Envoy and the
  processor share a machine;
- on loopback, the default: every user of the machine can connect to it, and bind it while the
  processor is down;
- by mutual TLS, `listen_tls`: Envoy verifies the processor by `ca` and `name`, the processor
  verifies Envoy by `ca` and `envoy_name`. Another certificate of the same authority is therefore
  rejected. The processor reads its own certificate and `ca` again when they change. Envoy reads its
  certificate and `ca` again after a rename in their directory ([Envoy](envoy.md#certificates)).

Plain TCP off loopback is rejected unless `allow_plaintext` allows it. The same holds for `admin`,
which shows traces, ends sessions and has the keys by which Envoy verifies assertions, and for
`gateway.admin`, which can stop Envoy. Both may be unix sockets, too, with the access rights
`admin_mode`; `gateway.keys` then names the socket of `admin`, and by default it does. [One
machine](topologies.md#one-machine) has all of them.
"""
REASONS_HEAD = """# Reasons

Every way in which a request can end has a reason code. The code is on the page beside the trace id,
in the problem document (`reason`), in Envoy's `%RESPONSE_CODE_DETAILS%` and access log (`reason`), in
the spans (`extproc.reason`, and `error.type` of errors), in the log ([logs](logs.md)) and in the
metrics. `extproc reasons CODE` prints a row of this page. The page is generated from the table in
`extproc/core/reasons/` by `tools/reference.py reasons`; a test provokes each reason.

Start from what the user has, the reason and the trace id on the page. Then find the line `answered`
with that trace id in the log: its `detail` contains more than a page may.
"""
REASONS_PARTS = (
    ("The request continues to the application", outcomes.ADMITTED),
    ("Answers that are not refusals", outcomes.ANSWERED),
    ("Refused: the request", requests.REQUESTS),
    ("Refused: the callback that the browser brought from the provider", requests.CALLBACKS),
    ("Refused: the provider's error in the callback", provider.ERRORS),
    ("Refused: what the provider answered to the processor", provider.FAULTS),
    (
        "Refused: the provider is away; nothing was consumed, a reload completes a login",
        provider.AWAY,
    ),
    ("Refused: checks of the ID token", tokens.ID_TOKEN),
    ("Refused: checks of a logout token", tokens.LOGOUT_TOKEN),
    ("Refused: access tokens of API callers", (*tokens.ACCESS_TOKEN, *tokens.API_CALLER)),
    ("Refused: this service", requests.OURS),
    ("Ended: a live stream, after its request continued to the application", outcomes.ENDED),
    (
        "No answer by the processor: the stream ends with an error, and Envoy answers if the "
        "client is still connected",
        requests.ABORTED,
    ),
)
REASONS_FEET = """
## Envoy's own

Without a `reason` in the access log the processor was not asked, or could not be. The field `details`
then contains Envoy's own code.

| details | status | what it is |
|---|---|---|
| `via_upstream` | any | the application's answer to a request that Envoy let through because of its assertion |
| `local_rate_limited` | 429 | too many undecided requests from one address: `gateway.rate_limit` |
| `rbac_access_denied_matched_policy[none]` | 403 | the gate: neither an assertion nor a decision; the configuration differs from what `extproc envoy` prints |
| `ext_proc_error_*` | 500, 503 | the processor ended the stream, or is away |
| `ext_proc_error_*timeout*` | 504 | the processor did not answer within `timeouts.message` |
| `cors_response` | 200 | a preflight that Envoy answered: `cors` |
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
    """Each model once, with its path in the file; a model of several kinds with its kind."""
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
    field = model.model_fields.get("kind")
    return f", kind {get_args(field.annotation)[0]}" if field is not None else ""


def default(field: FieldInfo) -> str:
    """The cell with a field's default, as it would be written in the file."""
    if field.is_required():
        return "**needed**"
    value = as_in_the_file(field)
    if isinstance(value, BaseModel):
        return "see below"
    if value in (None, PydanticUndefined, "", (), {}):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{list(value) if isinstance(value, tuple) else value}`"


def as_in_the_file(field: FieldInfo) -> Any:
    """A field's default as text of the file; a number that is written as text has quotes."""
    value = field.get_default()
    for part in field.metadata:
        if isinstance(part, PlainSerializer):
            serialize: Any = part.func
            text = serialize(value)
            return json.dumps(text) if isinstance(value, int) else text
    return value


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
