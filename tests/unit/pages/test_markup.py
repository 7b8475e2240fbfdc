"""Markup that the trace pages share."""

import base64
import hashlib
import re

import pytest

from extproc.pages.markup import (
    COLOURS,
    CONTENT_SECURITY_POLICY,
    chips,
    count,
    name,
    page,
    services,
    when,
)


def test_the_policy_allows_the_style_sheet_of_the_page_and_no_script():
    markup = page("Traces", "")
    style = re.search(r"<style>(.*?)</style>", markup, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in CONTENT_SECURITY_POLICY
    assert "script" not in markup and "script-src" not in CONTENT_SECURITY_POLICY


def test_the_title_and_the_search_are_text_the_body_and_the_note_are_markup():
    markup = page("<t>", "<p>body", "<i>note", search="'<s>", back=True)
    assert "<h1>&lt;t&gt;</h1><p><i>note</p>" in markup and "<p>body</main>" in markup
    assert "value='&#x27;&lt;s&gt;'" in markup
    assert ">All traces</a>" in markup and ">Reload</a>" in page("t", "")


def test_a_service_has_the_same_colour_on_every_page_and_no_other_has_it():
    names = [f"service {number}" for number in range(COLOURS)]
    alone = {name: services([name])[name] for name in names}
    together = services(names)
    assert sorted(together.values()) == list(range(COLOURS))
    assert together[names[0]] == alone[names[0]]
    assert services([*names, "one more"])["one more"] == services(["one more"])["one more"]


@pytest.mark.parametrize(
    ("status", "reason", "failed", "labels"),
    [
        ("200", "session", False, [("", "200"), ("", "session")]),
        ("403", "forbidden", True, [("bad", "403"), ("bad", "forbidden")]),
        ("503", "", True, [("bad", "503")]),
        ("200", "", True, [("", "200"), ("bad", "error")]),
        ("0", "", False, []),
        ("", "<r>", False, [("", "&lt;r&gt;")]),
    ],
)
def test_chips_show_the_status_and_the_reason_or_error(status, reason, failed, labels):
    found = re.findall(
        r"<span class='chip (\w*)'>(.*?)</span>", chips(status, reason, failed=failed)
    )
    assert found == labels


def test_small_texts():
    assert (name("<a>"), name("")) == ("&lt;a&gt;", "unnamed")
    assert when(1_780_000_000_123_456_789) == "20:26:40.123"
    assert (count(0, "span"), count(1, "span"), count(2, "span")) == (
        "0 spans",
        "1 span",
        "2 spans",
    )
