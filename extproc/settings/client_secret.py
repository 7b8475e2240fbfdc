"""The secret of a client at a provider, in the settings or in a file of its own."""

from pathlib import Path

from pydantic import SecretStr

from extproc.settings.secret_files import read_secret


def check_client_secret(secret: SecretStr | None, file: Path | None, empty: str) -> None:
    """Check that a secret is in one place, and not empty.

    Args:
        secret: The key client_secret.
        file: The key client_secret_file.
        empty: What to do about an empty secret.

    Raises:
        ValueError: It is in two places, or empty.
    """
    if secret is not None and file is not None:
        raise ValueError("client_secret or client_secret_file, not both")
    if secret is not None and not secret.get_secret_value():
        raise ValueError(f"client_secret is empty; {empty}")


def client_secret(secret: SecretStr | None, file: Path | None) -> SecretStr | None:
    """The secret, read from its file if there is one. Raises OSError."""
    return SecretStr(read_secret(file).strip()) if file is not None else secret
