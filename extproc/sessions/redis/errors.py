"""What goes wrong at a Redis server, in fixed words for the operator: a server's own text may have
our arguments in it.
"""

import ssl

from coredis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    ReadOnlyError,
    StalePrimaryError,
)


class Unreachable(Exception):
    """No answer: not connected, lost, too slow, or not asked since the breaker is open.

    retry: the connection went away under the request, and a new one may do.
    """

    def __init__(self, text: str, *, retry: bool = False) -> None:
        super().__init__(text)
        self.retry = retry


_WORDS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (
        AuthorizationError,
        "the user may not do this (NOPERM): its ACL lacks a command or a key pattern",
    ),
    ((ReadOnlyError, StalePrimaryError), "is a read-only replica (READONLY)"),
    (ClusterDownError, "the cluster is down (CLUSTERDOWN)"),
    (BusyLoadingError, "is loading its data (LOADING)"),
    ((ConnectionError, OSError), "cannot be connected to"),
)


def explain(error: BaseException, setting: str = "store.password") -> str:
    """setting: the key of the password that was used."""
    if isinstance(error, AuthenticationError):
        return (
            f"{setting}: the server refused it, or the user name (WRONGPASS; NOAUTH where none "
            "was given)"
        )
    if any(isinstance(cause, ssl.SSLError) for cause in _causes(error)):
        return "TLS failed: store.tls and store.ca_file have to fit the server and its certificate"
    known = next((words for kinds, words in _WORDS if isinstance(error, kinds)), None)
    if known is not None:
        return known
    code = str(error).split(" ", 1)[0]
    return (
        f"answered {code}"
        if code.isalpha() and code.isupper()
        else f"answered with {type(error).__name__}"
    )


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__
    return found
