"""Why the processor does not start, for the operator."""


class CannotStart(Exception):
    """The processor or a worker cannot start. The text names the key of the settings, and is for
    the operator.
    """


def unusable_authorities(provider: str, error: OSError) -> CannotStart:
    """The failure of a processor whose provider has a ca_file that cannot be used.

    Args:
        provider: the provider's name in the settings.
        error: as settings/files.py raises it.
    """
    reason = error.strerror or "cannot be read"
    return CannotStart(f"providers.{provider}.ca_file: {error.filename}: {reason}")
