"""Admission control: limits of lanes, of providers and of file descriptors."""

import pytest

from extproc.core.decisions import Lane
from extproc.core.errors import Overloaded
from extproc.ext_proc.admission import FEWEST_CALLS, RESERVED_DESCRIPTORS, Admission
from extproc.settings import Limits


@pytest.mark.parametrize("lane", Lane)
def test_a_lane_takes_as_many_as_its_limit_and_another_when_one_has_ended(lane: Lane) -> None:
    admission = Admission(Limits(**{lane: 2}))
    first = admission.acquire(lane, "main")
    admission.acquire(lane, "main")
    with pytest.raises(Overloaded, match=rf"limits\.{lane}\b"):
        admission.acquire(lane, "main")
    first.release()
    assert admission.held(lane) == 1
    admission.acquire(lane, "main")


def test_a_full_lane_leaves_the_others_alone() -> None:
    admission = Admission(Limits(**dict.fromkeys(Lane, 1)))
    for lane in Lane:
        admission.acquire(lane, "main")
    assert dict(admission.gauges()) == {"streams": 0, **{f"held.{lane}": 1 for lane in Lane}}


def test_the_callbacks_of_one_provider_have_a_limit_of_their_own() -> None:
    admission = Admission(Limits(callback=3, per_provider=1))
    permit = admission.acquire(Lane.CALLBACK, "slow")
    with pytest.raises(Overloaded, match="per_provider"):
        admission.acquire(Lane.CALLBACK, "slow")
    admission.acquire(Lane.CALLBACK, "quick")
    admission.acquire(Lane.REFRESH, "slow")
    permit.release()
    admission.acquire(Lane.CALLBACK, "slow")


@pytest.mark.parametrize(
    ("descriptors", "calls"),
    [(RESERVED_DESCRIPTORS + 10, 10), (RESERVED_DESCRIPTORS, FEWEST_CALLS), (1, FEWEST_CALLS)],
)
def test_few_file_descriptors_limit_the_calls_of_all_lanes_together(
    descriptors: int, calls: int
) -> None:
    admission = Admission(Limits(), descriptors=descriptors)
    lanes = [lane for lane in Lane if lane.calls_provider]
    for number in range(calls):
        admission.acquire(lanes[number % len(lanes)], "main")
    for lane in lanes:
        with pytest.raises(Overloaded, match="ulimit"):
            admission.acquire(lane, "main")
    for lane in set(Lane) - set(lanes):
        admission.acquire(lane, "main")


def test_a_permit_is_released_however_its_block_ends() -> None:
    admission = Admission(Limits())

    def work() -> None:
        with admission.acquire(Lane.LOGIN, "main") as permit:
            assert (permit.lane, permit.provider) == (Lane.LOGIN, "main")
            assert admission.held(Lane.LOGIN) == 1
            raise LookupError

    with pytest.raises(LookupError):
        work()
    assert admission.held(Lane.LOGIN) == 0


def test_a_permit_cannot_be_released_twice() -> None:
    admission = Admission(Limits())
    permit = admission.acquire(Lane.CALLBACK, "main")
    permit.release()
    with pytest.raises(KeyError):
        permit.release()


def test_only_work_that_calls_a_provider_is_finished_without_its_client() -> None:
    for lane in Lane:
        admission = Admission(Limits())
        admission.acquire(lane, "main")
        assert admission.finishing is lane.calls_provider
    assert not Admission(Limits()).finishing


def test_there_are_too_many_streams_above_the_limit() -> None:
    admission = Admission(Limits(streams=1))
    admission.streams = 1
    assert not admission.over_limit
    admission.streams = 2
    assert admission.over_limit


def test_the_oldest_that_is_held_is_the_first_that_came_and_has_not_left() -> None:
    now = [100.0]
    admission = Admission(Limits(), lambda: now[0])
    assert admission.oldest(Lane.CALLBACK) == 0
    first = admission.acquire(Lane.CALLBACK, "main")
    now[0] = 103
    second = admission.acquire(Lane.CALLBACK, "main")
    now[0] = 110
    assert (
        admission.held(Lane.CALLBACK),
        admission.oldest(Lane.CALLBACK),
        admission.oldest(Lane.REFRESH),
    ) == (2, 10, 0)
    first.release()
    assert (admission.held(Lane.CALLBACK), admission.oldest(Lane.CALLBACK)) == (1, 7)
    second.release()
    assert admission.oldest(Lane.CALLBACK) == 0
