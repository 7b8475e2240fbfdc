"""Runs of the machine: so many examples in one world, until an invariant is violated.

outcome = explore("sqlite", examples=20)
outcome.violation          # None, or the invariant
outcome.story              # the steps that led there, and what was seen
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis.errors import Flaky
from hypothesis.stateful import run_state_machine_as_test

from stateful.machine import Gateway, only
from stateful.truth import Violation
from stateful.world import World

STEPS = 25


@dataclass(frozen=True, slots=True)
class Outcome:
    violation: str | None
    story: str
    examples: int
    steps: int
    seconds: float

    def __str__(self) -> str:
        found = f"{self.violation} does not hold" if self.violation else "everything held"
        return (
            f"{found} after {self.examples} examples, {self.steps} steps, {self.seconds:.0f} "
            f"s\n{self.story}"
        ).rstrip()


def explore(
    world: World,
    *,
    examples: int,
    rules: Sequence[str] = (),
    seed: int | None = None,
    shrink: bool = False,
    steps: int = STEPS,
) -> Outcome:
    """Run examples in one world.

    seed: None is the same run each time. shrink: search for the shortest story, which takes
    minutes.
    """
    machine = _counting(world)
    machine = only(machine, *rules) if rules else machine
    Violation.raised.clear()
    began, sure, story = time.monotonic(), False, ""
    while not sure and machine.examples < examples and not Violation.raised:
        sure, story = _explore(
            machine, examples - machine.examples, seed, shrink=shrink, steps=steps
        )
        seed = (seed or 0) + 1
    violation = Violation.raised[0].kind if Violation.raised else None
    return Outcome(violation, story, machine.examples, machine.steps, time.monotonic() - began)


def _explore(
    machine: Any, examples: int, seed: int | None, *, shrink: bool, steps: int
) -> tuple[bool, str]:
    """Whether hypothesis finished, and the story of a violation, if there is one.

    Hypothesis expects the same steps to have the same outcome each time. Real processes do not
    always do so, which is no statement about the gateway. So a violation counts even if it was seen
    only once, and without one the run continues with other steps.
    """
    settings = hypothesis.settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=seed is None,
        print_blob=False,
        report_multiple_bugs=False,
        phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
        suppress_health_check=list(HealthCheck),
    )
    if seed is not None:
        machine._hypothesis_internal_use_seed = seed
    try:
        run_state_machine_as_test(machine, settings=settings)
    except Violation as found:
        return True, "\n".join([str(found), *getattr(found, "__notes__", ())])
    except Flaky as unsure:
        return False, "\n".join(
            [*(str(found) for found in Violation.raised[:1]), type(unsure).__name__]
        )
    return True, ""


def _counting(of: World) -> type[Gateway]:
    class Counting(Gateway):
        world = of
        examples, steps = 0, 0

        def __init__(self) -> None:
            super().__init__()
            type(self).examples += 1

        def check_invariants(self, *words: object) -> None:
            type(self).steps += 1
            super().check_invariants(*words)

    return Counting


def for_minutes(
    minutes: float, stores: Sequence[str], seed: int | None, rules: Sequence[str] = ()
) -> int:
    """Run new examples, each store in turn.

    Returns 1 after printing the story of a violation.
    """
    draw = random.Random(seed)
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        for store in stores:
            chosen = draw.randrange(1 << 32)
            with World(store) as world:
                outcome = explore(world, examples=50, rules=rules, seed=chosen, shrink=True)
            print(f"{store}, seed {chosen}: {outcome}", flush=True)
            if outcome.violation is not None:
                return 1
    return 0
