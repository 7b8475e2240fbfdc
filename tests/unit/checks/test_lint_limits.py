"""Limits must fit each other and the process."""

import resource

import pytest
from harness.envoy_config import lint_lines, simple


@pytest.mark.parametrize(
    ("limits", "descriptors", "needed"),
    [
        ({}, 1_220, None),  # one provider: limits.per_provider counts
        ({}, 1_219, 1_220),
        ({"per_provider": 2_000}, 2_000, 2_220),
        ({"per_provider": 3_000, "callback": 3_000, "streams": 1_000_000}, 4_100, 4_200),
        (
            {"callback": 1_000_000, "per_provider": 1_000_000, "streams": 1_000_000},
            resource.RLIM_INFINITY,
            None,
        ),
    ],
)
def test_file_descriptors_must_do_for_the_logins(
    limits: dict[str, int], descriptors: int, needed: int | None
) -> None:
    found = [
        line for line in lint_lines(simple(limits=limits), descriptors) if "descriptors" in line
    ]
    assert len(found) == (1 if needed else 0)
    assert all(
        f"about {needed} file descriptors, and this process may have {descriptors};" in line
        for line in found
    )
