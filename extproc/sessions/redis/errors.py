"""Errors of Redis servers, in fixed words for the operator: a server's own text may contain the
arguments of a command.
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
    """A server gave no reply: not connected, lost, too slow, or not asked with an open breaker."""

    def __init__(self, text: str, *, retry: bool = False) -> None:
        """
        Args:
            text: for the operator.
            retry: whether the connection was lost under the request, and a new one may help.
        """
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
    """Describe an error for the operator; `setting` is the key of the password that was used."""
    if isinstance(error, AuthenticationError):
        return (
            f"{setting}: the server refused it, or the user name (WRONGPASS; NOAUTH where none "
            "was given)"
        )
    if any(isinstance(cause, ssl.SSLError) for cause in _causes(error)):
        return "TLS failed: store.tls and store.ca_file have to fit the server and its certificate"
    for kinds, words in _WORDS:
        if isinstance(error, kinds):
            return words
    code = str(error).split(" ", 1)[0]
    if code.isalpha() and code.isupper():
        return f"answered {code}"
    return f"answered with {type(error).__name__}"


def _causes(error: BaseException | None) -> list[BaseException]:
    """List an error with its causes; they may be a circle."""
    causes: list[BaseException] = []
    while error is not None and error not in causes:
        causes.append(error)
        error = error.__cause__
    return causes
