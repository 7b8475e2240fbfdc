"""The settings file and the secret files that it names: loading them, and noticing that they
changed.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from extproc.settings.load import load
from extproc.settings.redis import RedisSettings
from extproc.settings.root import Settings
from extproc.settings.store import CookieSettings

Fingerprint = tuple[int, int, int, int]


class Source:
    """One settings file with its secret files, for callers that ask repeatedly whether to reload.

    A change is reported once, after the write has settled.
    """

    def __init__(
        self, path: Path, override: Callable[[Settings], Settings] = lambda settings: settings
    ) -> None:
        """Create the source; nothing is read yet.

        Args:
            path: The settings file.
            override: Applied to the settings after each load, for example with the values of the
                command line.
        """
        self._path = path
        self._override = override
        self._files: tuple[Path, ...] = (path,)
        self._loaded: tuple[Fingerprint | None, ...] = ()
        self._previous: tuple[Fingerprint | None, ...] = ()

    def load(self) -> Settings:
        """Read the settings. Raises SettingsError."""
        # before the files are read: what is written meanwhile counts as another change
        self._loaded = self._fingerprints()
        settings = self._override(load(self._path))
        files = (self._path, *secret_files(settings))
        if files != self._files:
            self._files = files
            self._loaded = self._fingerprints()
        self._previous = self._loaded
        return settings

    def changed(self) -> bool:
        """True when a file differs from the loaded version and has not changed since the previous
        call, that is, the write has settled.
        """
        previous = self._previous
        current = self._fingerprints()
        self._previous = current
        if current == self._loaded or current != previous:
            return False
        self._loaded = current
        return True

    def _fingerprints(self) -> tuple[Fingerprint | None, ...]:
        return tuple(_fingerprint(path) for path in self._files)


def secret_files(settings: Settings) -> tuple[Path, ...]:
    """The files of secrets that the settings name."""
    return tuple(path for path in _secret_files(settings) if path is not None)


def _secret_files(settings: Settings) -> Iterator[Path | None]:
    yield settings.secret_file
    for provider in settings.providers.values():
        yield provider.client_secret_file
        if provider.access_tokens.introspection is not None:
            yield provider.access_tokens.introspection.client_secret_file
    store = (
        settings.store.tombstones if isinstance(settings.store, CookieSettings) else settings.store
    )
    if isinstance(store, RedisSettings):
        yield store.password_file
        yield store.sentinel_password_file


def _fingerprint(path: Path) -> Fingerprint | None:
    """Device, inode, modification time (ns) and size of a file, or None if there is no file.

    Symbolic links are followed, because Kubernetes replaces a mounted secret by swapping a link to
    its folder.
    """
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size
