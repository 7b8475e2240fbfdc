"""Runs a table of tests: what each request comes to, beside what it has to come to."""

from collections.abc import Iterator
from dataclasses import dataclass

from extproc.envoyconfig.snapshot import HttpListener
from extproc.explain.cases import Case, Cases
from extproc.explain.outcome import Judge, Outcome
from extproc.settings import Settings


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one test.

    Attributes:
        name: of the test; by default its number and its request.
        expected: what the test expects, in words.
        got: what the request comes to.
        passed: whether that is the same.
    """

    name: str
    expected: str
    got: Outcome
    passed: bool

    @property
    def found(self) -> str:
        """What the request comes to, in the words of `expected`."""
        rule = f" by the rule {self.got.rule}" if self.got.rule else ""
        shadow = f" beside {self.got.shadow} in shadow mode" if self.got.shadow else ""
        return f"{self.got.text}{rule}{shadow}"


def run(
    settings: Settings, cases: Cases, now: int, listener: HttpListener | None = None
) -> Iterator[Result]:
    """The result of each test, in order.

    Args:
        settings: the settings.
        cases: the tests.
        now: seconds since the epoch.
        listener: Envoy's; by default as it is generated from the settings.
    """
    judge = Judge(settings, now, listener)
    for number, case in enumerate(cases.tests, 1):
        who = cases.user(case), case.peer, cases.token(case)
        got = judge.outcome(case.sample(settings), *who)
        where = case.url or f"{case.application} {case.path}"
        name = case.name or f"{number}, {case.method} {where}"
        yield Result(name, _expected(case), got, _is_met(case, got))


def _expected(case: Case) -> str:
    """What a test expects, in words."""
    parts = [str(case.expect)]
    if case.rule is not None:
        parts.append(f"by the rule {case.rule}" if case.rule else "by no rule")
    if case.shadow is not None:
        parts.append(
            f"beside {case.shadow} in shadow mode" if case.shadow else "beside no shadow rule"
        )
    if case.identity is not None:
        parts.append("with an identity" if case.identity else "without an identity")
    return " ".join(parts)


def _is_met(case: Case, got: Outcome) -> bool:
    """Whether a request comes to what its test expects, and no doubt is left about it."""
    return (
        not got.fault
        and case.expect in (got.word, got.status)
        and case.rule in (None, got.rule)
        and case.shadow in (None, got.shadow)
        and case.identity in (None, got.identity)
    )
