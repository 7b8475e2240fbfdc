"""Reading the settings file: environment variables are filled in, the values are checked, and each
fault is explained in one line.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from extproc.settings.access_tokens import IntrospectionSettings
from extproc.settings.faults import Fault, explain
from extproc.settings.files import SETTINGS_LIMIT, read_file
from extproc.settings.providers import ProviderSettings
from extproc.settings.redis import RedisSettings
from extproc.settings.root import Settings
from extproc.settings.secret_files import named
from extproc.settings.store import CookieSettings
from extproc.settings.yaml_faults import explain_yaml
from extproc.settings.yaml_text import load_yaml

VARIABLE = re.compile(r"\$?\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class SettingsError(Exception):
    """The settings cannot be used. The text is for the operator, one line for each fault."""


def load(path: Path) -> Settings:
    """Read a settings file.

    Raises SettingsError with one line for each fault: the file's name, the path of the key, what
    is wrong and what would be right.
    """
    try:
        text = read_file(path, SETTINGS_LIMIT).decode()
    except FileNotFoundError as error:
        raise SettingsError(
            f"{path}: {error.strerror}; --config names another file, and README.md has settings to "
            "begin with"
        ) from None
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or 'cannot be read'}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not UTF-8 text") from None
    return parse(text, path)


def parse(text: str, path: Path | str = "settings") -> Settings:
    """Read settings from the text of a file; `path` is its name in errors. Raises SettingsError."""
    document = _yaml(text, path)
    faults: list[Fault] = []
    try:
        filled = _fill(document, "", os.environ.get, faults)
    except RecursionError:
        # an alias within its own anchor has no end either
        raise SettingsError(f"{path}: is nested too deeply, or in itself") from None
    if not faults:
        try:
            settings = Settings.model_validate_json(json.dumps(filled, default=str))
            _check_secret_files(settings)
            return settings
        except ValidationError as error:
            faults = list(explain(error))
        except ValueError as error:
            faults = [Fault("", str(error))]
    raise SettingsError("\n".join(f"{path}: {fault}" for fault in faults))


def _yaml(text: str, path: Path | str) -> dict[Any, Any]:
    try:
        document = load_yaml(text)
    except yaml.YAMLError as error:
        number, what = explain_yaml(error, text)
        line = f":{number}" if number is not None else ""
        raise SettingsError(f"{path}{line}: is not YAML: {what}") from None
    except (ValueError, RecursionError):
        # a date such as 2020-13-45; brackets without end
        raise SettingsError(f"{path}: is not YAML: a value cannot be parsed") from None
    if document is None:
        raise SettingsError(f"{path}: is empty; README.md has settings to begin with")
    if not isinstance(document, dict):
        raise SettingsError(
            f"{path}: is a {type(document).__name__}; a mapping of settings is needed"
        )
    return document


def _check_secret_files(settings: Settings) -> None:
    """Read every secret that is in a file once, so that a missing or short secret is reported at
    the start. Raises ValueError.
    """
    if settings.secret_file is not None:
        with named("secret_file"):
            empty = not settings.ring()
        if empty:
            raise ValueError(f"secret_file: {settings.secret_file} is empty")
        settings.check_ring()
    for name, provider in settings.providers.items():
        _check_client_secret(settings, f"providers.{name}", provider)
        asking = provider.access_tokens.introspection
        if asking is not None:
            key = f"providers.{name}.access_tokens.introspection"
            _check_client_secret(settings, key, asking)
    store = settings.store
    if isinstance(store, RedisSettings):
        store.check_files("store")
    if isinstance(store, CookieSettings) and isinstance(store.tombstones, RedisSettings):
        store.tombstones.check_files("store.tombstones")


def _check_client_secret(
    settings: Settings, name: str, client: ProviderSettings | IntrospectionSettings
) -> None:
    """Check the secret of a client. name: the path of the client's keys. Raises ValueError."""
    key = f"{name}.client_secret_file"
    with named(key):
        secret = client.secret()
    if secret is None:
        return
    if secret.get_secret_value():
        settings.check_published(key, secret)
    else:
        raise ValueError(f"{key}: {client.client_secret_file} is empty")


def _fill(value: Any, path: str, variable: Callable[[str], str | None], faults: list[Fault]) -> Any:
    """Replace ${NAME} by the environment variable of that name; $${ stands for a literal ${.

    Args:
        value: A value of the document; mappings and lists are filled throughout.
        path: The path of its key, for faults.
        variable: Returns the value of an environment variable, or None.
        faults: Receives a fault for each variable that is not set, and for each NUL.
    """
    if isinstance(value, dict):
        return {
            str(key): _fill(inner, f"{path}.{key}" if path else str(key), variable, faults)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [
            _fill(inner, f"{path}[{index}]", variable, faults) for index, inner in enumerate(value)
        ]
    if not isinstance(value, str):
        return value
    if "\0" in value:
        # Neither a path nor a header can have one, and each would fail in its own words.
        faults.append(Fault(path, "contains a NUL character"))

    def replacement(match: re.Match[str]) -> str:
        if match[0].startswith("$$"):
            return match[0][1:]
        text = variable(match[1])
        if text is None:
            faults.append(Fault(path, f"the environment variable {match[1]} is not set"))
        return text or ""

    return VARIABLE.sub(replacement, value)
