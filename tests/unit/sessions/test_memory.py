"""Revocations in the memory of one process."""

from harness.tokens import NOW

from extproc.sessions.memory import MemoryRevocations


async def test_tombstones_in_memory_are_bounded_and_the_oldest_goes_first():
    marks = MemoryRevocations(most=3)
    for number in range(4):
        assert await marks.use_once(b"%d" % number, NOW + 60, NOW)
        await marks.revoke_before(b"%d" % number, NOW, NOW + 60)
    assert await marks.use_once(b"0", NOW + 60, NOW)
    assert not await marks.use_once(b"3", NOW + 60, NOW)
    at = [marks.revoked_before_nowait([b"%d" % number], NOW) for number in range(4)]
    assert at == [0, NOW, NOW, NOW]


async def test_what_was_used_can_be_used_again_after_it_expired():
    marks = MemoryRevocations()
    assert await marks.use_once(b"attempt", NOW + 60, NOW)
    assert not await marks.use_once(b"attempt", NOW + 60, NOW + 59)
    assert await marks.use_once(b"attempt", NOW + 120, NOW + 60)
    assert not await marks.use_once(b"attempt", NOW + 120, NOW + 61)


async def test_a_revocation_never_moves_back_and_is_forgotten_when_it_expires():
    marks = MemoryRevocations()
    await marks.revoke_before(b"user", NOW, NOW + 60)
    await marks.revoke_before(b"user", NOW - 30, NOW + 30)
    assert await marks.revoked_before([b"another", b"user"], NOW + 59) == NOW
    assert await marks.revoked_before([b"user"], NOW + 60) == 0
    assert await marks.revoked_before([], NOW) == 0


async def test_after_its_end_it_knows_nothing_more():
    marks = MemoryRevocations()
    await marks.use_once(b"attempt", NOW + 60, NOW)
    await marks.revoke_before(b"user", NOW, NOW + 60)
    await marks.aclose()
    assert await marks.use_once(b"attempt", NOW + 60, NOW)
    assert marks.revoked_before_nowait([b"user"], NOW) == 0
