"""The table of reasons as a whole, and the refusals of the core. The answers of the rest of the code
are compared in tests/project/test_reasons.py.
"""

from collections.abc import Iterator

import pytest

from extproc.core import errors, provider_errors
from extproc.core.reasons import PROVIDER_ERRORS, REASONS


def subclasses(kind: type) -> Iterator[type]:
    for one in kind.__subclasses__():
        yield one
        yield from subclasses(one)


def test_every_refusal_is_a_row_and_is_an_error():
    plain = {kind.reason for kind in subclasses(errors.Refusal) if "reason" in vars(kind)}
    assert len(plain) > 20 and all((REASONS[reason].status or 0) >= 400 for reason in plain)
    assert all(
        (errors.ProviderRefused(error).status or 0) >= 400
        for error in (*PROVIDER_ERRORS, "<script>", "timeout")
    )
    # what a provider says never passes for what we say of a provider
    assert errors.ProviderRefused("timeout").reason == "provider_error"


@pytest.mark.parametrize("kind", [provider_errors.InvalidIDToken, errors.InvalidLogoutToken])
def test_a_check_that_is_in_no_table_is_a_bug_and_not_an_answer(kind):
    with pytest.raises(KeyError):
        _ = kind("made up").status
