"""Log lines: one valid JSON line whatever is in it, text for people, levels and floods."""

import io
import json
import logging

import pytest

from extproc.telemetry.log_format import JSONLines, TextLines, formatter


def record(event="an event", level=logging.INFO, name="extproc", args=(), error=None, **fields):
    info = (type(error), error, error.__traceback__) if error is not None else None
    made = logging.LogRecord(name, level, "", 0, event, args, info)
    made.__dict__.update(fields)
    return made


class Unprintable:
    def __str__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("plain", "plain"),
        ('"\\\r\n\t\x00\x1b[31m\x7f\u2028', '"\\\r\n\t\x00\x1b[31m\x7f\u2028'),
        ("\udcff lone \ud800", "? lone ?"),
        ("x" * 100_000, "x" * 500),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (1 << 70, str(1 << 70)),
        (b"\xff", "b'\\xff'"),
        (None, None),
        (True, True),
        (1.5, 1.5),
        ([1, {"a": 2}], "[1, {'a': 2}]"),
        (Unprintable(), "<Unprintable>"),
    ],
)
def test_whatever_a_field_holds_a_line_is_one_valid_json_line(value, said):
    line = JSONLines().format(
        record(field=value, event=value if isinstance(value, str) else "event")
    )
    assert "\n" not in line and line.isascii()
    assert json.loads(line, parse_constant=pytest.fail)["field"] == said
    assert "\n" not in TextLines().format(record(field=value)) and "\x1b" not in TextLines().format(
        record(field=value)
    )


def test_a_library_s_line_says_whose_it_is_and_a_bad_one_is_a_line_all_the_same():
    line = json.loads(JSONLines().format(record("%d things", name="other", args=("x",))))
    assert (line["logger"], line["event"], line["level"]) == ("other", "%d things", "info")


SECRET = "".join(("can", "ary"))  # in no line of source, which tracebacks show


def failing(error):
    try:
        try:
            raise KeyError(SECRET)
        except KeyError:
            raise error from ValueError(SECRET)
    except BaseException as caught:
        return caught


def test_a_traceback_has_frames_and_types_and_of_texts_only_python_s_own():
    group = ExceptionGroup(SECRET, [RuntimeError(SECRET)])
    group.add_note(SECRET)
    for error in (LookupError(SECRET), group):
        line = JSONLines().format(record(error=failing(error)))
        told = json.loads(line)["exception"]
        assert SECRET not in line and SECRET not in TextLines().format(record(error=failing(error)))
        assert "in failing" in told
        assert type(error).__name__ in told and "ValueError" in told
    assert "RuntimeError" in told
    told = json.loads(
        JSONLines().format(record(error=failing(AttributeError("'X' object has no attribute 'y'"))))
    )
    assert told["exception"].endswith("AttributeError: 'X' object has no attribute 'y'")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("form", "terminal", "environment", "kind", "colours"),
    [
        ("auto", False, {}, JSONLines, False),
        ("auto", True, {}, TextLines, True),
        ("auto", True, {"NO_COLOR": "1"}, TextLines, False),
        ("auto", True, {"TERM": "dumb"}, TextLines, False),
        ("text", False, {}, TextLines, False),
        ("json", True, {}, JSONLines, False),
    ],
)
def test_text_is_for_terminals_and_so_are_colours(
    form, terminal, environment, kind, colours, monkeypatch
):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = formatter(form, Terminal() if terminal else io.StringIO())
    assert type(found) is kind
    line = found.format(record(level=logging.WARNING, reason="state_mismatch"))
    assert ("\x1b[33m" in line) == colours and "state_mismatch" in line
