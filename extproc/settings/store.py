"""Settings of where sessions are kept: one model for each kind of store, chosen by `kind`.

Without `kind` it is sqlite.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from extproc.settings.redis import RedisSettings
from extproc.settings.types import Model

DEFAULT_KIND = "sqlite"


class SQLiteSettings(Model):
    """A store in one file, shared by the processes of one machine."""

    kind: Literal["sqlite"] = Field("sqlite", description="`sqlite`, the default kind")
    path: Path = Field(
        Path("extproc.sqlite3"),
        description="file of the database; created if it is missing, readable by its owner only",
    )


def _kind(value: Any) -> Any:
    """The `kind` of raw or validated settings of a store.

    Pydantic's own discriminator by field has no default, so `kind` would have to be written
    always.
    """
    if isinstance(value, dict):
        # A null, as of `kind:` without a value, is no kind; pydantic would name this function.
        kind = value.get("kind", DEFAULT_KIND)
        return "" if kind is None else kind
    if isinstance(value, SQLiteSettings | RedisSettings | CookieSettings):
        return value.kind
    return DEFAULT_KIND


# the store of revocations where the sessions themselves are in cookies
TombstoneSettings = Annotated[
    Annotated[SQLiteSettings, Tag("sqlite")] | Annotated[RedisSettings, Tag("redis")],
    Discriminator(_kind),
]


class CookieSettings(Model):
    """No store: the whole session is in the browser, in encrypted cookies."""

    kind: Literal["cookie"] = Field(description="`cookie`")
    tombstones: TombstoneSettings | None = Field(
        None,
        description="store for revocations: ended sessions and used logins. Without it every "
        "process knows only those that it saw itself",
    )


StoreSettings = Annotated[
    Annotated[SQLiteSettings, Tag("sqlite")]
    | Annotated[RedisSettings, Tag("redis")]
    | Annotated[CookieSettings, Tag("cookie")],
    Discriminator(_kind),
]


def store_with_secrets(store: StoreSettings) -> StoreSettings:
    """The store's settings with the passwords themselves in place of the names of their files.

    Raises OSError when a file cannot be read.
    """
    match store:
        case RedisSettings():
            return store.with_secrets()
        case CookieSettings(tombstones=RedisSettings() as tombstones):
            return store.model_copy(update={"tombstones": tombstones.with_secrets()})
        case _:
            return store


def shares_tombstones(store: StoreSettings) -> bool:
    """Whether every process learns of every revocation, as back-channel logout requires."""
    return not isinstance(store, CookieSettings) or store.tombstones is not None
