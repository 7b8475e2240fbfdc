"""Which rows of the security catalogue a test covers, when its name has room for one only.

    @rows("hdr_10", "hdr_11")
    def test_hdr_09_the_encoding_of_claims(): ...

A row is covered by the test whose name begins with it, by a parameter that is it, or by this.
"""

from collections.abc import Callable
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., object])


def rows(*names: str) -> Callable[[F], F]:
    """Notes the rows on the test; nothing else."""

    def note(test: F) -> F:
        test.__dict__["rows"] = names
        return test

    return note
