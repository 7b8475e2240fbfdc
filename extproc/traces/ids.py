"""Trace ids as people write them."""

import re


def trace_id_in(text: str) -> str | None:
    """A trace id as people paste it: whole or in groups, in a traceparent or behind a word; None
    where there is none.
    """
    text = text[:400].lower()
    alone = re.search(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])", text)
    groups = re.search(
        r"(?<![0-9a-f])(?:[0-9a-f][\s:.\-\u2010-\u2015\u200b]*){31}[0-9a-f](?![0-9a-f])", text
    )
    found = alone or groups
    return re.sub(r"[^0-9a-f]", "", found[0]) if found else None
