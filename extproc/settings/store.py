"""Where sessions are kept: one model for each kind of store, chosen by `kind`; sqlite where it is
not said.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from extproc.settings.redis import RedisSettings
from extproc.settings.types import Model

DEFAULT_KIND = "sqlite"


class SQLiteSettings(Model):
    """One file, for the processes of one machine."""

    kind: Literal["sqlite"] = Field("sqlite", description="`sqlite`, where no kind is said")
    path: Path = Field(
        Path("extproc.sqlite3"), description="the file; made, readable by this user only"
    )


def _kind(value: Any) -> Any:
    """The arm of the union: what `kind` says. A callable, since pydantic's own discriminator must
    be said each time.
    """
    return (
        value.get("kind", DEFAULT_KIND)
        if isinstance(value, dict)
        else getattr(value, "kind", DEFAULT_KIND)
    )


# what is over, shared among processes, where the sessions themselves are in cookies
TombstoneSettings = Annotated[
    Annotated[SQLiteSettings, Tag("sqlite")] | Annotated[RedisSettings, Tag("redis")],
    Discriminator(_kind),
]


class CookieSettings(Model):
    """No store: the whole session is in the browser, sealed."""

    kind: Literal["cookie"] = Field(description="`cookie`")
    tombstones: TombstoneSettings | None = Field(
        None,
        description="a store that remembers what is over: ended sessions, used logins. Without "
        "it every "
        "process knows its own only",
    )


StoreSettings = Annotated[
    Annotated[SQLiteSettings, Tag("sqlite")]
    | Annotated[RedisSettings, Tag("redis")]
    | Annotated[CookieSettings, Tag("cookie")],
    Discriminator(_kind),
]
KINDS = ("sqlite", "redis", "cookie")
KIND_KEYS = ("store", "tombstones")  # the keys that have one


def store_with_secrets(store: StoreSettings) -> StoreSettings:
    """The same, with the secrets themselves in place of the names of their files."""
    match store:
        case RedisSettings():
            return store.with_secrets()
        case CookieSettings(tombstones=RedisSettings() as tombstones):
            return store.model_copy(update={"tombstones": tombstones.with_secrets()})
        case _:
            return store


def shares_tombstones(store: StoreSettings) -> bool:
    """Whether every process learns what is over; a logout that the provider starts needs it."""
    return not isinstance(store, CookieSettings) or store.tombstones is not None
