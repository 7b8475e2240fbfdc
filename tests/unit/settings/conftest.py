"""Reading a settings file that is right but for one change."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from extproc.settings import Settings, SettingsError, load

RIGHT: dict[str, Any] = {
    "secret": "x" * 32,
    "providers": {
        "main": {"issuer": "https://idp.example", "client_id": "gateway", "client_secret": "s"}
    },
    "applications": {
        "app": {"hosts": ["localhost"], "upstream": "http://127.0.0.1:9600", "provider": "main"}
    },
}


def merged(base: Any, change: Any) -> Any:
    """The base with the change laid over it, key by key; None takes a key out."""
    if not isinstance(base, dict) or not isinstance(change, dict):
        return change
    changed = {name: merged(base.get(name), value) for name, value in change.items()}
    return {name: value for name, value in {**base, **changed}.items() if value is not None}


@pytest.fixture
def right() -> dict[str, Any]:
    """A document without a fault, with one provider and one application."""
    return RIGHT


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the fixtures below write the settings."""
    return tmp_path / "extproc.yaml"


@pytest.fixture
def read(file: Path) -> Callable[..., Settings]:
    """Loads the right document with a change, from a file."""

    def read(change: dict[str, Any] | None = None) -> Settings:
        file.write_text(yaml.safe_dump(merged(RIGHT, change or {})))
        return load(file)

    return read


@pytest.fixture
def fault(file: Path, read: Callable[..., Settings]) -> Callable[[dict[str, Any]], str]:
    """The one line that explains what a change made wrong, without the file's name."""

    def fault(change: dict[str, Any]) -> str:
        with pytest.raises(SettingsError) as caught:
            read(change)
        [line] = str(caught.value).splitlines()
        assert line.startswith(f"{file}: ")
        return line.removeprefix(str(file))

    return fault
