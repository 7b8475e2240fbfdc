"""Where the settings come from, and whether there are others by now: the file, and the files of
secrets that it names.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from extproc.settings.load import load
from extproc.settings.redis import RedisSettings
from extproc.settings.root import Settings
from extproc.settings.store import CookieSettings

Mark = tuple[int, int, int, int]


class Source:
    """One settings file. Looked at again and again: a change is told once, when it has come to
    rest.
    """

    def __init__(
        self, path: Path, over: Callable[[Settings], Settings] = lambda settings: settings
    ) -> None:
        """over: what is said elsewhere than in the file, laid over it each time."""
        self._path, self._over = path, over
        self._files: tuple[Path, ...] = (path,)
        self._taken: tuple[Mark | None, ...] = ()
        self._seen: tuple[Mark | None, ...] = ()

    def load(self) -> Settings:
        """Reads it. Raises SettingsError."""
        self._taken = self._marks()  # before: what is written meanwhile is another change
        settings = self._over(load(self._path))
        if (files := (self._path, *secret_files(settings))) != self._files:
            self._files = files
            self._taken = self._marks()
        self._seen = self._taken
        return settings

    def changed(self) -> bool:
        """Whether it is worth while to load again: something is not as it was then, and is as it
        was at the last look.
        """
        before, self._seen = self._seen, self._marks()
        if self._seen == self._taken or self._seen != before:
            return False
        self._taken = self._seen
        return True

    def _marks(self) -> tuple[Mark | None, ...]:
        return tuple(_mark(path) for path in self._files)


def secret_files(settings: Settings) -> tuple[Path, ...]:
    """The files of secrets that the settings name."""
    return tuple(path for path in _secret_files(settings) if path is not None)


def _secret_files(settings: Settings) -> Iterator[Path | None]:
    yield settings.secret_file
    for provider in settings.providers.values():
        yield provider.client_secret_file
    store = (
        settings.store.tombstones if isinstance(settings.store, CookieSettings) else settings.store
    )
    if isinstance(store, RedisSettings):
        yield store.password_file
        yield store.sentinel_password_file


def _mark(path: Path) -> Mark | None:
    """Of the file that a name leads to, through symbolic links: Kubernetes swaps one that is a
    folder. None: there is none.
    """
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size
