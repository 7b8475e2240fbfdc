"""The short functions that make Envoy's messages."""

import re

from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router

from extproc.envoyconfig.builders import ADD, SET, exact, extension, header, regex, seconds, text


def test_an_extension_has_its_name_and_its_type() -> None:
    made = extension("router", Router())
    assert made.name == "router" and made.typed_config is not None
    assert made.typed_config.type_url.endswith("envoy.extensions.filters.http.router.v3.Router")


def test_a_header_replaces_another_unless_it_is_to_be_added() -> None:
    assert header("a", "b").append_action == SET
    assert header("a", "b", ADD).append_action == ADD


def test_durations_are_exact_below_a_second() -> None:
    assert seconds(0.05).total_seconds() == 0.05


def test_a_matcher_is_exact_or_a_pattern_and_text_is_inline() -> None:
    assert exact("a.b").exact == "a.b"
    pattern = regex("a.b").safe_regex
    assert pattern is not None and re.fullmatch(pattern.regex, "axb")
    assert text("100%").inline_string == "100%"
