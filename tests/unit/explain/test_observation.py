"""The verdict on a refused request."""

import pytest

from extproc.core.bearer_errors import InsufficientScope, InvalidAccessToken
from extproc.core.errors import LoginRequired, NotAllowed, Refusal
from extproc.core.reasons import REASONS
from extproc.explain.observation import of_refusal


@pytest.mark.parametrize(
    ("refusal", "begin", "end"),
    [
        (NotAllowed("rules.a.allow.groups"), "403 not_allowed: ", " (rules.a.allow.groups)"),
        (InsufficientScope("allow.scopes"), "403 insufficient_scope: ", " (allow.scopes)"),
        (LoginRequired(), "401 login_required: ", "."),
        (InvalidAccessToken("audience", "DETAIL"), "401 bearer_token_audience: ", "."),
    ],
)
def test_the_key_that_keeps_a_user_out_is_named_and_nothing_else(
    refusal: Refusal, begin: str, end: str
) -> None:
    verdict = of_refusal(refusal)
    assert verdict.verdict and verdict.remedy == REASONS[refusal.reason].remedy
    assert verdict.what.startswith(begin) and verdict.what.endswith(end)
    assert "DETAIL" not in verdict.what
    assert of_refusal(refusal, "if so: ").what == f"if so: {verdict.what}"
