"""Limits of the operating system: file descriptors, core files."""

import resource


def allow_descriptors() -> None:
    """As many file descriptors as this process may have: each held login has a connection, and the
    usual 1,024 are for programs that use select().
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def descriptors() -> int | None:
    """How many file descriptors this process may have; None: any number."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else None


def forbid_core_files() -> None:
    """Memory holds keys and tokens: a crash writes none of it to disk, in this process and in those
    that it starts.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
