"""Limits of the operating system: file descriptors, core files."""

import resource


def allow_descriptors() -> None:
    """Raises the limit of open files as far as this process may: each held login has a connection,
    and the usual 1,024 are for programs that use select().
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def descriptors() -> int | None:
    """How many file descriptors this process may have; None if there is no limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else None


def forbid_core_files() -> None:
    """Forbids core files in this process and in those that it starts, because memory holds keys and
    tokens.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
