"""What the core raises, for tests of the words in the log: fixed, and nothing from outside."""

from collections.abc import Callable

import pytest

# what somebody else writes, wherever there is room for it
EVIL = "<script>evil</script>"


def raised(call: Callable[[], object]) -> tuple[type[Exception], str]:
    """The class of what a call raises, and its detail."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the caller compares the class
        call()
    error = caught.value
    assert str(error) == (getattr(error, "detail", None) or getattr(error, "reason", str(error)))
    return type(error), getattr(error, "detail", str(error))
