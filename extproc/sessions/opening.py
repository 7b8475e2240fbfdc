"""The store that the settings ask for."""

from typing import assert_never

from extproc.sessions import SessionStore
from extproc.sessions.sqlite import SQLiteStore
from extproc.settings import CookieSettings, SQLiteSettings, StoreSettings


def open_store(settings: StoreSettings) -> SessionStore:
    """Raises StoreUnavailable where it cannot be used at all, such as a file that is no database of ours."""
    match settings:
        case SQLiteSettings():
            return SQLiteStore(settings.path)
        case CookieSettings():
            raise NotImplementedError
        case _:
            assert_never(settings)
