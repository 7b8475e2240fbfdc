"""Settings as text that one process sends to another, independent of the files that they were read
from.
"""

import json
from typing import Any

from pydantic import SecretStr

from extproc.settings.providers import ProviderSettings
from extproc.settings.root import Settings
from extproc.settings.store import store_with_secrets


def to_text(settings: Settings) -> str:
    """The settings as one line of JSON that contains every secret; only for a pipe.

    Raises OSError when the file of a secret cannot be read.
    """
    # Without the defaults: a key that was not set must not look as if it was.
    return json.dumps(with_secrets(settings).model_dump(exclude_unset=True), default=_plain)


def from_text(text: str | bytes) -> Settings:
    """The settings that `to_text` made into this text."""
    return Settings.model_validate_json(text)


def with_secrets(settings: Settings) -> Settings:
    """The settings with the secrets themselves in place of the names of their files.

    Raises OSError when the file of a secret cannot be read.
    """
    providers = {name: _with_secrets(provider) for name, provider in settings.providers.items()}
    return settings.model_copy(
        update={
            "secret": settings.ring(),
            "secret_file": None,
            "providers": providers,
            "store": store_with_secrets(settings.store),
        }
    )


def _with_secrets(provider: ProviderSettings) -> ProviderSettings:
    """A provider's settings with its secrets in place of their files. Raises OSError."""
    update: dict[str, object] = {"client_secret": provider.secret(), "client_secret_file": None}
    tokens = provider.access_tokens
    if tokens.introspection is not None:
        secret = tokens.introspection.secret()
        asking = tokens.introspection.model_copy(
            update={"client_secret": secret, "client_secret_file": None}
        )
        update["access_tokens"] = tokens.model_copy(update={"introspection": asking})
    return provider.model_copy(update=update)


def _plain(value: Any) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
