"""Writes docs/settings.md from the models: `PYTHONPATH=.:tests python tests/reference.py > docs/settings.md`. A test compares the two."""

from collections.abc import Iterator
from typing import get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from extproc.addresses import Address
from extproc.settings import Settings
from extproc.settings.loading import models_in

HEAD = """# Settings

One YAML file, `extproc.yaml` unless `--config` says otherwise, for `extproc serve`, `extproc envoy` and `extproc check` alike. This page
is made from the models (`tests/reference.py`); `extproc schema` prints the same as a JSON schema, for editors.

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


def models(model: type[BaseModel], path: str, seen: set[type]) -> Iterator[tuple[str, type[BaseModel]]]:
    """Each model once, with where it stands; one of several kinds with its kind."""
    yield path, model
    seen.add(model)
    for name, field in model.model_fields.items():
        many = get_origin(field.annotation) is dict
        for inner in models_in(field.annotation):
            if inner not in seen:
                place = f"{path.partition(',')[0]}{'.' if path else ''}{name}{'.NAME' if many else ''}"
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
    return f"`{str(value).lower() if isinstance(value, bool) else value}`" if value not in ({}, []) else ""


def reference() -> str:
    parts = [HEAD]
    for path, model in models(Settings, "", set()):
        place, _, of_kind = path.partition(", ")
        parts.append(f"## `{place}`{f', {of_kind}' if of_kind else ''}\n\n" if path else "## The file\n\n")
        if path and model.__doc__:
            parts.append(" ".join(model.__doc__.split()) + "\n\n")
        parts.append("| key | default | what it is |\n|---|---|---|\n")
        for name, field in model.model_fields.items():
            parts.append(f"| `{name}` | {default(field)} | {(field.description or '').replace('|', '&#124;')} |\n")
        parts.append("\n")
    return "".join(parts).rstrip("\n") + "\n" + FEET


if __name__ == "__main__":
    print(reference(), end="")
