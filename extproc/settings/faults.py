"""Faults of the settings file in the operator's terms: the path of the key, and what is wrong."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from extproc.settings.root import Settings
from extproc.settings.store import KIND_KEYS, KINDS
from extproc.settings.types import NAME


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `path` is the path of its key, such as providers.main.issuer, or "" if the fault
    belongs to no key.
    """

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}" if self.path else self.what


def explain(error: ValidationError) -> Iterator[Fault]:
    """The faults that pydantic found, one for each key and never with a value, since it may be a
    secret.
    """
    seen: set[str] = set()
    for details in error.errors(include_input=False, include_url=False):
        fault = _fault(details)
        if fault.path not in seen:
            seen.add(fault.path)
            yield fault


def _fault(details: ErrorDetails) -> Fault:
    path = _path(details["loc"])
    message = details["msg"].removeprefix("Value error, ")
    match details["type"]:
        case "extra_forbidden":
            return Fault(path, f"there is no such key{_nearest(details['loc'])}")
        case "union_tag_invalid":
            tag = str(details["ctx"]["tag"])[:40]
            kinds = details["ctx"]["expected_tags"]
            return Fault(f"{path}.kind", f"there is no kind {tag!r}; there are: {kinds}")
        case "missing":
            return Fault(path, "is missing")
        case "string_pattern_mismatch" if NAME in message:
            return Fault(
                path, "is not a name of lower-case letters, digits and hyphens, 40 at most"
            )
    if message.startswith("Input"):
        message = message[:1].lower() + message[1:]
    return Fault(path, message)


def _path(location: tuple[int | str, ...]) -> str:
    """The path of a key as it stands in the file."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in _keys(location))
    return "".join(parts).lstrip(".")


def _keys(location: tuple[int | str, ...]) -> Iterator[int | str]:
    """The keys and indices of a location, without the names that pydantic gives to the arms of a
    union.
    """
    for before, part in zip((None, *location), location, strict=False):
        if not _is_union_arm(before, part):
            yield part


def _is_union_arm(before: int | str | None, part: int | str) -> bool:
    if before in KIND_KEYS and part in KINDS:
        return True
    return isinstance(part, str) and ("[" in part or part in ("str", "SecretStr"))


def _nearest(location: tuple[int | str, ...]) -> str:
    """A suggestion of the key that was probably meant, or "" if none is similar."""
    models: list[Any] = [Settings]
    for before, part in zip((None, *location), location[:-1], strict=False):
        if before in KIND_KEYS and part in KINDS:
            models = [model for model in models if _is_of_kind(model, part)]
            continue
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        inner = [model for field in fields for model in models_in(field.annotation)]
        # a name in a mapping, or an index, is no field: the models stay
        models = inner or models
    known = [name for model in models for name in model.model_fields]
    near = difflib.get_close_matches(str(location[-1]), known, 1)
    return f"; did you mean {near[0]}?" if near else ""


def _is_of_kind(model: Any, kind: int | str) -> bool:
    return kind in get_args(model.model_fields["kind"].annotation)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models within an annotation such as dict[Name, ProviderSettings], TLS | None, or a union
    of kinds.
    """
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for argument in get_args(annotation):
        yield from models_in(argument)
