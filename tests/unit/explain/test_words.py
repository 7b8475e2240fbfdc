"""Decisions, kinds of requests and time spans in words."""

import pytest
from harness.envoy_config import simple
from harness.tokens import application, request

from extproc.core.decide import decide
from extproc.explain.words import of_decision, of_navigation, remedy_of, time_span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (200_000, "2 d")],
)  # fmt: skip
def test_a_time_span_is_in_the_largest_unit_of_which_it_has_two(seconds: int, text: str) -> None:
    assert time_span(seconds) == text


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({}, "GET with Sec-Fetch-Mode navigate and Sec-Fetch-Dest document, so the user sees"),
        ({"upgrade": "websocket"}, "it is an upgrade, so the user does not see"),
        ({"sec_purpose": "prefetch"}, "the browser fetches it ahead of time"),
        ({"sec_fetch_mode": "cors", "sec_fetch_dest": ""}, "Sec-Fetch-Dest none, so the user does not"),
        ({"sec_fetch_mode": "", "sec_fetch_dest": ""}, "it accepts HTML, so the user sees"),
        (
            {"sec_fetch_mode": "", "sec_fetch_dest": "", "accept": "*/*"},
            "it does not accept HTML, so the user does not see",
        ),
        ({"sec_fetch_mode": "", "sec_fetch_dest": "", "hx_request": "true"}, "has a header that scripts set"),
    ],
)  # fmt: skip
def test_a_navigation_is_recognised_by_its_headers(headers: dict[str, str], text: str) -> None:
    assert text in of_navigation(request(**headers))


def test_a_login_is_shown_with_its_provider_and_without_a_query() -> None:
    decision = decide(application(), request("/wanted?a=canary"), None, 0)
    text = of_decision(simple(), application(), decision)
    assert text == (
        "303 to the login page of main (https://idp.example), and after the login to /wanted"
    )
    # every visit without a session begins so
    assert remedy_of(decision) == ""


def test_an_answer_is_shown_with_its_reason() -> None:
    decision = decide(application(), request("/oauth2/signed-out"), None, 0)
    assert of_decision(simple(), application(), decision).startswith("200 signed_out")
