"""The page of an error of Envoy's own."""

import base64
import hashlib
import re

import pytest

from extproc.pages.gateway import (
    CONTENT_SECURITY_POLICY,
    REQUEST_ID,
    STATUS,
    GatewayError,
    gateway_page,
)


def test_the_style_is_the_one_that_the_policy_allows_and_there_is_no_script() -> None:
    page = gateway_page(GatewayError("Title", "Text."))
    style = re.search("<style>(.*?)</style>", page)
    assert style is not None and "<script" not in page
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in CONTENT_SECURITY_POLICY
    assert "script-src" not in CONTENT_SECURITY_POLICY


def test_the_status_and_the_id_have_their_places_and_texts_are_escaped() -> None:
    page = gateway_page(GatewayError("<Title>", "a & b"))
    assert (page.count(STATUS), page.count(REQUEST_ID)) == (1, 1)
    assert "&lt;Title&gt;" in page and "a &amp; b" in page and "<a " not in page


@pytest.mark.parametrize(
    ("link", "markup"),
    [("retry", '<a href="">Try again</a>'), ("home", '<a href="/">Go to the start page</a>')],
)
def test_a_page_has_at_most_one_link(link: str, markup: str) -> None:
    page = gateway_page(GatewayError("Title", "Text.", link))  # type: ignore[arg-type]
    assert markup in page and page.count("<a ") == 1
