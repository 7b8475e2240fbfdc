"""The Lua knows the cookies that the core makes."""

import re

from harness.envoy_config import APP, simple, typed

from extproc.core.cookies import CookieNames


def test_our_cookies_are_those_of_the_core() -> None:
    """Every kind of name that the core makes has its row in the Lua, and the Lua has no other."""
    names = CookieNames("app", True)
    made = (
        names.session,
        names.assertion,
        names.login("0" * 8),
        names.data("0" * 16),
        names.used("0" * 16),
    )
    kinds = {name.removeprefix(names.prefix).partition("-")[0] for name in made}
    code = typed(simple(), "Lua")[0]["default_source_code"]["inline_string"]
    assert set(re.findall(r"^  (\w+) = \{\"\^", code, re.MULTILINE)) == kinds and len(kinds) == len(
        made
    )


def test_the_route_is_not_chosen_again_after_the_cookies_are_moved() -> None:
    (lua,) = typed(simple(), "Lua")
    assert lua["clear_route_cache"] is False and list(lua["source_codes"]) == ["keep"]
    passing = simple(applications={"app": {**APP, "preflight": "pass"}})
    assert list(typed(passing, "Lua")[0]["source_codes"]) == ["keep", "bodiless"]
