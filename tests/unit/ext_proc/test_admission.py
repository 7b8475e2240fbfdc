"""Admission control: limits of kinds, of providers and of file descriptors."""

import pytest

from extproc.core.decisions import StepKind
from extproc.core.errors import Overloaded
from extproc.ext_proc.admission import FEWEST_CALLS, RESERVED_DESCRIPTORS, Admission
from extproc.settings import Limits


@pytest.mark.parametrize("kind", StepKind)
def test_a_kind_of_work_takes_as_many_as_its_limit_and_another_when_one_has_ended(
    kind: StepKind,
) -> None:
    admission = Admission(Limits(**{kind: 2}))
    first = admission.acquire(kind, "main")
    admission.acquire(kind, "main")
    with pytest.raises(Overloaded, match=rf"limits\.{kind}\b"):
        admission.acquire(kind, "main")
    first.release()
    assert admission.held(kind) == 1
    admission.acquire(kind, "main")


def test_work_that_can_end_gives_way_the_oldest_first() -> None:
    admission = Admission(Limits(body=2))
    ended: list[int] = []
    permits = [
        admission.acquire(StepKind.BODY, "main", lambda number=number: ended.append(number))
        for number in range(4)
    ]
    assert ended == [0, 1] and [permit.revoked for permit in permits] == [True, True, False, False]
    assert admission.held(StepKind.BODY) == 2
    for permit in permits:
        permit.release()
    assert admission.held(StepKind.BODY) == 0


def test_a_full_lane_leaves_the_others_alone() -> None:
    admission = Admission(Limits(**dict.fromkeys(StepKind, 1)))
    for kind in StepKind:
        admission.acquire(kind, "main")
    assert dict(admission.gauges()) == {"streams": 0, **{f"held.{kind}": 1 for kind in StepKind}}


def test_the_callbacks_of_one_provider_have_a_limit_of_their_own() -> None:
    admission = Admission(Limits(callback=3, per_provider=1))
    permit = admission.acquire(StepKind.CALLBACK, "slow")
    with pytest.raises(Overloaded, match="per_provider"):
        admission.acquire(StepKind.CALLBACK, "slow")
    admission.acquire(StepKind.CALLBACK, "quick")
    admission.acquire(StepKind.REFRESH, "slow")
    permit.release()
    admission.acquire(StepKind.CALLBACK, "slow")


@pytest.mark.parametrize(
    ("descriptors", "calls"),
    [(RESERVED_DESCRIPTORS + 10, 10), (RESERVED_DESCRIPTORS, FEWEST_CALLS), (1, FEWEST_CALLS)],
)
def test_few_file_descriptors_limit_the_calls_of_all_lanes_together(
    descriptors: int, calls: int
) -> None:
    admission = Admission(Limits(), descriptors=descriptors)
    kinds = [kind for kind in StepKind if kind.calls_provider]
    for number in range(calls):
        admission.acquire(kinds[number % len(kinds)], "main")
    for kind in kinds:
        with pytest.raises(Overloaded, match="ulimit"):
            admission.acquire(kind, "main")
    for kind in set(StepKind) - set(kinds):
        admission.acquire(kind, "main")


def test_a_permit_is_released_however_its_block_ends() -> None:
    admission = Admission(Limits())

    def work() -> None:
        with admission.acquire(StepKind.LOGIN, "main") as permit:
            assert (permit.kind, permit.provider) == (StepKind.LOGIN, "main")
            assert admission.held(StepKind.LOGIN) == 1
            raise LookupError

    with pytest.raises(LookupError):
        work()
    assert admission.held(StepKind.LOGIN) == 0


def test_a_permit_cannot_be_released_twice() -> None:
    admission = Admission(Limits())
    permit = admission.acquire(StepKind.CALLBACK, "main")
    permit.release()
    with pytest.raises(KeyError):
        permit.release()


def test_only_work_that_calls_a_provider_is_finished_without_its_client() -> None:
    for kind in StepKind:
        admission = Admission(Limits())
        admission.acquire(kind, "main")
        assert admission.finishing is kind.calls_provider
    assert not Admission(Limits()).finishing


def test_there_are_too_many_streams_above_the_limit() -> None:
    admission = Admission(Limits(streams=1))
    admission.streams = 1
    assert not admission.over_limit
    admission.streams = 2
    assert admission.over_limit


def test_streams_that_wait_for_a_body_are_counted_in_their_lane_alone() -> None:
    admission = Admission(Limits(streams=1))
    for _ in range(3):
        admission.acquire(StepKind.BODY, "main")
    admission.streams = 4
    assert not admission.over_limit
    admission.streams = 5
    assert admission.over_limit


def test_the_oldest_that_is_held_is_the_first_that_came_and_has_not_left() -> None:
    now = [100.0]
    admission = Admission(Limits(), lambda: now[0])
    assert admission.oldest(StepKind.CALLBACK) == 0
    first = admission.acquire(StepKind.CALLBACK, "main")
    now[0] = 103
    second = admission.acquire(StepKind.CALLBACK, "main")
    now[0] = 110
    assert (
        admission.held(StepKind.CALLBACK),
        admission.oldest(StepKind.CALLBACK),
        admission.oldest(StepKind.REFRESH),
    ) == (2, 10, 0)
    first.release()
    assert (admission.held(StepKind.CALLBACK), admission.oldest(StepKind.CALLBACK)) == (1, 7)
    second.release()
    assert admission.oldest(StepKind.CALLBACK) == 0


@pytest.mark.threat("bounds")
@pytest.mark.parametrize("kind", sorted(StepKind))
def test_one_of_several_providers_leaves_room_for_the_others(kind: StepKind) -> None:
    waits = kind.calls_provider or kind is StepKind.LOGIN
    limits = Limits(**{"callback": 8, "per_provider": 4, kind: 8})
    admission = Admission(limits, providers=2)
    permits = [admission.acquire(kind, "slow") for _ in range(4 if waits else 8)]
    with pytest.raises(Overloaded, match=r"per_provider|as many requests"):
        admission.acquire(kind, "slow")
    if waits:
        admission.acquire(kind, "quick")
        permits[0].release()
        admission.acquire(kind, "slow")
    alone = Admission(limits, providers=1)
    for _ in range(4 if kind is StepKind.CALLBACK else 8):
        alone.acquire(kind, "only")


def test_one_of_several_providers_leaves_file_descriptors_to_the_others() -> None:
    limits = Limits(callback=100, per_provider=50)
    admission = Admission(limits, descriptors=RESERVED_DESCRIPTORS + 10, providers=2)
    for kind in (StepKind.CALLBACK, StepKind.REFRESH, StepKind.CALLBACK, StepKind.REFRESH):
        admission.acquire(kind, "slow")
    admission.acquire(StepKind.LOGOUT, "slow")
    with pytest.raises(Overloaded, match="its share of the file descriptors, 5 "):
        admission.acquire(StepKind.LOGOUT, "slow")
    for _ in range(5):
        admission.acquire(StepKind.REFRESH, "quick")
    with pytest.raises(Overloaded, match="allow 10 calls"):
        admission.acquire(StepKind.REFRESH, "quick")


@pytest.mark.parametrize(
    ("per_provider", "callback", "share"), [(1000, 2000, 100), (1, 2000, 1), (3000, 2000, 200)]
)
def test_a_share_is_at_least_one_and_at_most_the_whole(
    per_provider: int, callback: int, share: int
) -> None:
    assert Limits(per_provider=per_provider, callback=callback).share(200) == share
