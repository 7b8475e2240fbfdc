"""Faults of the settings file in the operator's terms: the path of the key, and what is wrong."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails

from extproc.settings.root import Settings
from extproc.settings.types import NAME

_UNIONS = (Union, UnionType)


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
    faults: dict[str, Fault] = {}
    for details in error.errors(include_input=False, include_url=False):
        fault = _fault(details)
        faults.setdefault(fault.path, fault)
    for path, fault in faults.items():
        # The arm of a list knows which of its elements is wrong; the other arms know only that
        # the whole is no text.
        if not any(other.startswith(f"{path}[") for other in faults):
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
            what = f"there is no kind {tag!r}" if tag else "is empty"
            return Fault(f"{path}.kind", f"{what}; there are: {kinds}")
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
    for part, is_key, _ in _walk(location):
        if is_key:
            yield part


def _walk(location: tuple[int | str, ...]) -> Iterator[tuple[int | str, bool, Any]]:
    """Each part of a location; whether it stands in the file; and the type of what it leads to.

    A name in a mapping may be any text, such as str or redis, so only the type at that place shows
    what is a key. The type is None below a key that does not exist.
    """
    here: Any = Settings
    for part in location:
        if part == "[key]" and get_origin(_plain_type(here)) is not dict:
            # The key before it is what is wrong, and not what it leads to.
            yield part, False, None
            continue
        inner = _plain_type(here)
        arguments = get_args(inner)
        is_key = True
        match inner:
            case type() if issubclass(inner, BaseModel):
                field = inner.model_fields.get(str(part))
                here = field.annotation if field is not None else None
            case _ if get_origin(inner) is dict:
                here = arguments[1]
            case _ if get_origin(inner) is tuple and isinstance(part, int):
                here = arguments[0]
            case _ if get_origin(inner) in _UNIONS:
                is_key = False
                here = _arm(arguments, part)
            case _:
                is_key = False
        yield part, is_key, here


def _plain_type(annotation: Any) -> Any:
    """An annotation without its metadata, and without None where one other type is left."""
    while True:
        arguments = [argument for argument in get_args(annotation) if argument is not NoneType]
        single = get_origin(annotation) in _UNIONS and len(arguments) == 1
        if get_origin(annotation) is not Annotated and not single:
            return annotation
        annotation = arguments[0]


def _arm(arms: tuple[Any, ...], name: int | str) -> Any:
    """The arm of a union that pydantic calls by this name: a tag, a kind, or a type."""
    for tagged in arms:
        if get_origin(tagged) is Annotated and Tag(str(name)) in get_args(tagged)[1:]:
            return tagged
    for arm in map(_plain_type, arms):
        if isinstance(arm, type) and issubclass(arm, BaseModel):
            if _is_of_kind(arm, name):
                return arm
        elif get_origin(arm) is tuple and str(name).startswith("tuple["):
            return arm
    return None


def _nearest(location: tuple[int | str, ...]) -> str:
    """A suggestion of the key that was probably meant, or "" if none is similar."""
    above = list(_walk(location[:-1]))
    here = above[-1][2] if above else Settings
    known = [name for model in models_in(here) for name in model.model_fields]
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
