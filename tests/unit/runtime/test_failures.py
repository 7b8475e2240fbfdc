"""Why the processor does not start, in words."""

import pytest

from extproc.runtime.failures import unusable_authorities


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(2, "No such file or directory", "/ca.pem"), "/ca.pem: No such file or directory"),
        (OSError(5, "", "/ca.pem"), "/ca.pem: cannot be read"),
    ],
)
def test_authorities_that_cannot_be_used_name_their_provider_and_their_file(
    error: OSError, text: str
) -> None:
    assert str(unusable_authorities("main", error)) == f"providers.main.ca_file: {text}"
