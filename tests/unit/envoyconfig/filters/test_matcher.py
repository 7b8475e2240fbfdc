"""When the processor is skipped."""

import pytest
from harness.envoy_config import simple, typed


@pytest.mark.threat("undecided")
@pytest.mark.parametrize("lifetime", [0, 60])
def test_the_processor_is_skipped_by_a_matcher_or_not_at_all(lifetime: int) -> None:
    """ExtensionWithMatcher without a matcher is valid, and skips its filter for every request."""
    wrappers = typed(simple(identity={"assertion_lifetime": lifetime}), "ExtensionWithMatcher")
    asked = [
        wrapper["xds_matcher"]["on_no_match"]["action"]["typed_config"]["typed_config"]
        for wrapper in wrappers
    ]
    wrapped = [each["typed_config"]["@type"].rpartition(".")[2] for each in asked]
    assert wrapped == ["LocalRateLimit", *(["ExternalProcessor"] if lifetime else [])]
    for wrapper in wrappers:
        (only,) = wrapper["xds_matcher"]["matcher_list"]["matchers"]
        assert only["predicate"]
        assert wrapper["extension_config"]["typed_config"]["@type"].endswith(".Composite")
