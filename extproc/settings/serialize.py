"""Settings from one process to another: as they are now, whatever becomes of the files that they
were read from.
"""

import json
from typing import Any

from pydantic import SecretStr

from extproc.settings.root import Settings
from extproc.settings.store import store_with_secrets


def to_text(settings: Settings) -> str:
    """One line of JSON with every secret in it, for a pipe and nothing else. Raises OSError when a
    secret's file has gone.
    """
    return json.dumps(with_secrets(settings).model_dump(), default=_plain)


def from_text(text: str | bytes) -> Settings:
    return Settings.model_validate_json(text)


def with_secrets(settings: Settings) -> Settings:
    """The same, with the secrets themselves in place of the names of their files."""
    providers = {
        name: provider.model_copy(
            update={"client_secret": provider.secret(), "client_secret_file": None}
        )
        for name, provider in settings.providers.items()
    }
    store = store_with_secrets(settings.store)
    return settings.model_copy(
        update={
            "secret": settings.ring(),
            "secret_file": None,
            "providers": providers,
            "store": store,
        }
    )


def _plain(value: Any) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
