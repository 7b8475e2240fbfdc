"""Trace ids in text that a person pastes."""

import re


def trace_id_in(text: str) -> str | None:
    """The trace id in a text, in lower case: whole or in groups, in a traceparent or after a word.

    None if the first 400 characters contain no trace id.
    """
    text = text[:400].lower()
    whole = re.search(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])", text)
    groups = re.search(
        r"(?<![0-9a-f])(?:[0-9a-f][\s:.\-\u2010-\u2015\u200b]*){31}[0-9a-f](?![0-9a-f])", text
    )
    match = whole or groups
    return re.sub(r"[^0-9a-f]", "", match[0]) if match else None
