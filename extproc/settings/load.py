"""The settings file: read, environment variables filled in, checked, and every fault explained in
one line.
"""

import difflib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from extproc.settings.redis import RedisSettings
from extproc.settings.root import Settings
from extproc.settings.store import KIND_KEYS, KINDS, CookieSettings
from extproc.settings.types import NAME


class SettingsError(Exception):
    """The settings cannot be used; its text is for the operator, one line a fault."""


@dataclass(frozen=True, slots=True)
class _Fault:
    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}" if self.path else self.what


def load(path: Path) -> Settings:
    """Reads one settings file. Raises SettingsError, one line a fault, each with the file's name
    and the key's path.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or 'cannot be read'}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not UTF-8 text") from None
    return parse(text, path)


def parse(text: str, path: Path | str = "settings") -> Settings:
    """The same for the text of a file of that name."""
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise SettingsError(
            f"{path}{f':{mark.line + 1}' if mark else ''}: is not YAML: {_problem(error)}"
        ) from None
    except (ValueError, RecursionError):  # a date such as 2020-13-45; brackets without end
        raise SettingsError(f"{path}: is not YAML: a value cannot be parsed") from None
    if not isinstance(raw, dict):
        raise SettingsError(
            f"{path}: is a {type(raw).__name__}; a mapping of settings is needed"
        ) from None
    faults: list[_Fault] = []
    try:
        filled = _fill(raw, "", os.environ.get, faults)
    except RecursionError:  # an alias within its own anchor, too
        raise SettingsError(f"{path}: is nested too deeply, or in itself") from None
    if not faults:
        try:
            settings = Settings.model_validate_json(json.dumps(filled, default=str))
            return _with_files(settings)
        except ValidationError as error:
            faults = list(_explain(error))
        except ValueError as error:
            faults = [_Fault("", str(error))]
    raise SettingsError("\n".join(f"{path}: {fault}" for fault in faults))


def _problem(error: yaml.YAMLError) -> str:
    """What is wrong, without what stands there: a secret that begins with * or ! is an alias or a
    tag to YAML, and named by it.
    """
    if isinstance(error, ComposerError | ConstructorError):
        return "a value that begins with *, & or ! needs quotes"
    return getattr(error, "problem", None) or "cannot be parsed"


def _with_files(settings: Settings) -> Settings:
    """Reads the secrets that stand in files once, so that a missing or short one is said at the
    start.
    """
    try:
        if settings.secret_file is not None:
            if not settings.ring():
                raise ValueError(f"secret_file: {settings.secret_file} is empty")
            settings.check_ring()
        for name, provider in settings.providers.items():
            if (provider.client_secret_file is not None and not (secret := provider.secret())) or (
                (secret := provider.secret()) and not secret.get_secret_value()
            ):
                raise ValueError(
                    f"providers.{name}.client_secret_file: {provider.client_secret_file} is empty"
                )
        if isinstance(settings.store, RedisSettings):
            settings.store.check_files("store")
        if isinstance(settings.store, CookieSettings) and isinstance(
            settings.store.tombstones, RedisSettings
        ):
            settings.store.tombstones.check_files("store.tombstones")
    except OSError as error:
        raise ValueError(f"{error.filename}: {error.strerror or 'cannot be read'}") from None
    return settings


def _fill(value: Any, path: str, env: Callable[[str], str | None], faults: list[_Fault]) -> Any:
    """Puts environment variables in place of ${NAME}; $${ is a literal ${."""
    if isinstance(value, dict):
        return {
            str(k): _fill(v, f"{path}.{k}" if path else str(k), env, faults)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [_fill(v, f"{path}[{i}]", env, faults) for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value

    def put(match: re.Match[str]) -> str:
        if match[0].startswith("$$"):
            return match[0][1:]
        found = env(match[1])
        if found is None:
            faults.append(_Fault(path, f"the environment variable {match[1]} is not set"))
        return found or ""

    return re.sub(r"\$?\$\{([A-Za-z_][A-Za-z0-9_]*)\}", put, value)


def _explain(error: ValidationError) -> Iterator[_Fault]:
    """Pydantic's findings in our words, one for each key."""
    seen: set[str] = set()
    for finding in error.errors(include_input=False, include_url=False):
        place = list(_place(finding["loc"]))
        path = "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in place
        ).lstrip(".")
        what = finding["msg"].removeprefix("Value error, ")
        if finding["type"] == "extra_forbidden":
            what = "there is no such key" + _nearest(finding["loc"])
        elif finding["type"] == "union_tag_invalid":
            path += ".kind"
            what = (
                f"there is no kind {str(finding['ctx']['tag'])[:40]!r}; there are: "
                f"{finding['ctx']['expected_tags']}"
            )
        elif finding["type"] == "missing":
            what = "is missing"
        elif finding["type"] == "string_pattern_mismatch":
            what = (
                "is no name of lower-case letters, digits and hyphens, 40 at most"
                if NAME in finding["msg"]
                else what
            )
        if path not in seen:
            seen.add(path)
            yield _Fault(path, what[:1].lower() + what[1:] if what.startswith("Input") else what)


def _place(loc: tuple[int | str, ...]) -> Iterator[int | str]:
    """The keys as they stand in the file: without the names that pydantic gives to the arms of a
    union.
    """
    for before, part in zip((None, *loc), loc, strict=False):
        if not _is_union_arm(before, part):
            yield part


def _is_union_arm(before: int | str | None, part: int | str) -> bool:
    if before in KIND_KEYS and part in KINDS:
        return True
    return isinstance(part, str) and ("[" in part or part in ("str", "SecretStr"))


def _nearest(loc: tuple[int | str, ...]) -> str:
    models: list[Any] = [Settings]
    for before, part in zip((None, *loc), loc[:-1], strict=False):
        if before in KIND_KEYS and part in KINDS:
            models = [
                model for model in models if part in get_args(model.model_fields["kind"].annotation)
            ]
            continue
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        models = [found for field in fields for found in models_in(field.annotation)] or models
    known = [name for model in models for name in model.model_fields]
    near = difflib.get_close_matches(str(loc[-1]), known, 1)
    return f"; did you mean {near[0]}?" if near else ""


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models within an annotation such as dict[Name, ProviderSettings], TLS | None, or a union
    of kinds.
    """
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for argument in get_args(annotation):
        yield from models_in(argument)
