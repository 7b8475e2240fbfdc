"""Base64url and JSON as the core writes them."""

import pytest
from harness.refusals import EVIL, raised

from extproc.core.encoding import b64decode


@pytest.mark.parametrize(
    ("call", "detail"),
    [
        (lambda: b64decode(EVIL), "not base64url"),
        (lambda: b64decode("AAAAA"), "not base64url"),
        (lambda: b64decode("AB"), "not canonical base64url"),
    ],
)
def test_what_is_not_canonical_base64url_is_refused(call, detail):
    assert raised(call) == (ValueError, detail)
