"""Headers by which a client could tell an application what it asked for."""

import pytest

from extproc.settings.client_headers import COMMANDS, DESCRIPTIONS, check_kept


def test_every_header_that_envoy_removes_may_be_kept() -> None:
    check_kept((*COMMANDS, *DESCRIPTIONS, "x-forwarded-host", "x-forwarded-anything"))
    check_kept(("x-forwarded-" + "x" * 64,))


@pytest.mark.parametrize(
    "name",
    [
        "x-auth-sub",
        "host",
        "x-forwarded-proto",
        "X-Real-Ip",
        "x-accel-redirect",
        "",
        "x-forwarded-" + "x" * 65,
        "x-forwarded-" + "x" * 3000,
    ],
)
def test_no_other_header_may(name: str) -> None:
    with pytest.raises(ValueError, match="is no header that Envoy removes from clients"):
        check_kept((name,))
