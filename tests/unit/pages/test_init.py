"""The pages that end users see, as HTML and as problem documents."""

import base64
import hashlib
import json
import re

import pytest

from extproc.core.page import Card, Page
from extproc.core.reasons import REASONS
from extproc.pages import csp, html, problem

PAGE = Page("Not signed in", "Please try again.", "https://app.example/", "Try again")
MARKUP = "<b>&'\""


def shown(page=PAGE, *, error=True, trace_id="abc"):
    return html(page, "state_mismatch", trace_id, error=error).decode()


def test_an_error_page_has_its_text_its_reason_its_trace_and_a_link():
    page = shown()
    assert "<h1>Not signed in</h1><p>Please try again.</p>" in page
    assert '<a class="go" href="https://app.example/">Try again</a>' in page
    assert "<dt>Reason</dt><dd>state_mismatch</dd>" in page
    assert '<span id="trace">abc</span>' in page and " role=alert" in page


def test_a_page_that_is_no_error_has_neither_reason_nor_trace():
    page = shown(error=False)
    assert "state_mismatch" not in page and "abc" not in page and "role=alert" not in page
    assert "<script>" not in page


def test_an_error_page_without_a_trace_has_no_line_for_it():
    assert 'id="trace"' not in shown(trace_id="")


def test_a_confirmation_posts_and_leads_back():
    page = Page("Sign out?", "Really?", "/oauth2/logout", "Sign out", posts=True, back="/")
    markup = shown(page, error=False)
    assert '<form method="post" action="/oauth2/logout"><button type="submit">' in markup
    assert '<a class="back" href="/">Back to the application</a>' in markup


def test_each_card_has_a_button_that_names_what_it_is_for():
    card = Card("Firefox", (("Signed in", "today"),), "/end", "End", "this browser")
    markup = shown(Page("Sessions", "Yours.", "/", "End all", cards=(card,)), error=False)
    assert "<h2>Firefox<span>this browser</span></h2>" in markup
    assert 'action="/end"><button type="submit" aria-label="End: Firefox">End</button>' in markup


def test_nothing_that_varies_is_markup():
    card = Card(MARKUP, ((MARKUP, MARKUP),), MARKUP, MARKUP, MARKUP)
    page = Page(MARKUP, MARKUP, MARKUP, MARKUP, posts=True, cards=(card,), back=MARKUP)
    assert "<b>" not in html(page, MARKUP, MARKUP, error=True).decode()


@pytest.mark.parametrize(("tag", "directive"), [("style", "style-src"), ("script", "script-src")])
def test_the_policy_allows_the_style_and_the_script_of_the_page_alone(tag, directive):
    content = re.search(rf"<{tag}>(.*?)</{tag}>", shown(), re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    assert f"{directive} 'sha256-{digest}'; " in csp() and "default-src 'none'; " in csp()


@pytest.mark.threat("foreign-input")
@pytest.mark.parametrize(
    "origin",
    ["https://a;b", "https://a,b", "https://a b", "https://*", "https://a'b", "javascript:x", ""],
)
def test_an_origin_that_could_end_the_directive_frames_nothing(origin: str) -> None:
    assert csp([origin]).endswith("frame-ancestors 'none'")
    assert csp([origin, "https://[::1]:8443"]).endswith("frame-ancestors https://[::1]:8443")


def test_a_page_is_framed_by_the_given_origins_only():
    assert csp().endswith("frame-ancestors 'none'")
    assert csp(["https://idp.example", "https://b"]).endswith(
        "frame-ancestors https://idp.example https://b"
    )


def test_a_problem_document_has_what_the_page_has():
    assert json.loads(problem(PAGE, 400, "state_mismatch", "abc", None)) == {
        "type": "about:blank",
        "title": "Not signed in",
        "status": 400,
        "detail": "Please try again.",
        "reason": "state_mismatch",
        "trace_id": "abc",
    }
    document = json.loads(problem(PAGE, 401, "login_required", "abc", "https://a/oauth2/login"))
    assert document["login_url"] == "https://a/oauth2/login"


@pytest.mark.parametrize("reason", REASONS.values(), ids=lambda reason: reason.code)
def test_no_page_names_a_setting(reason):
    """Keys of the settings have an underscore or a dot within, which no sentence for a user has."""
    assert re.search(r"\w[_.]\w", f"{reason.title} {reason.text}") is None
