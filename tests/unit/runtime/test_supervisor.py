"""The supervisor: what cannot change while it runs, and what keeps it from starting."""

from contextlib import asynccontextmanager

import pytest
import trio
from harness.memory_workers import settings
from harness.ports import free_port

from extproc.runtime.failures import CannotStart
from extproc.runtime.supervisor import Supervisor, check_unchanged
from extproc.settings import SettingsError, Source, with_secrets

OLD = settings()


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"workers": 3}, "workers"),
        ({"listen": "127.0.0.1:19"}, "listen"),
        ({"admin": "127.0.0.1:19"}, "admin"),
        (
            {"gateway": {"processors": ["127.0.0.1:9500", "127.0.0.1:9501"]}},
            "gateway.processors",
        ),
        ({"store": {"path": "elsewhere.sqlite3"}}, "store"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_envoy_or_the_workers_share_cannot_change_and_is_named(changes, key):
    with pytest.raises(SettingsError, match=f"^{key}: cannot be changed by SIGHUP: restart"):
        check_unchanged(OLD, settings(**changes))


def test_every_key_that_changed_has_a_line():
    with pytest.raises(SettingsError) as refused:
        check_unchanged(OLD, settings(workers=3, admin="127.0.0.1:19"))
    assert [line.partition(":")[0] for line in str(refused.value).splitlines()] == [
        "workers",
        "admin",
    ]


def test_everything_else_may_change():
    check_unchanged(OLD, settings(session={"idle": 60}, timeouts={"drain": "1s"}))


@asynccontextmanager
async def supervisor(folder, **changes):
    known = with_secrets(settings(**changes))
    async with trio.open_nursery() as nursery:
        made = Supervisor(known, Source(folder / "extproc.yaml"), nursery)
        yield made
        made.workers.kill()
        await made.stop()
        nursery.cancel_scope.cancel()


async def test_an_admin_address_that_is_taken_keeps_it_from_starting(tmp_path):
    (taken,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with taken:
        admin = f"127.0.0.1:{taken.socket.getsockname()[1]}"
        async with supervisor(tmp_path, admin=admin) as made:
            with pytest.raises(CannotStart, match=f"admin: {admin} cannot be bound"):
                await made.start()


async def test_a_store_that_no_worker_can_open_keeps_it_from_starting(tmp_path):
    broken = tmp_path / "no.sqlite3"
    broken.write_text("this is no database, and longer than a header of one" * 9)
    changes = {"admin": f"127.0.0.1:{free_port()}", "store": {"path": str(broken)}}
    async with supervisor(tmp_path, **changes) as made:
        with pytest.raises(CannotStart, match=r"no\.sqlite3"):
            await made.start()


async def test_the_workers_are_asked_before_the_supervisor_s_own_metrics_are_read(
    tmp_path, monkeypatch
):
    """Which workers are well is known by whether they answered."""
    asked = []

    async def metrics():
        asked.append("workers")
        return []

    async with supervisor(tmp_path) as made:
        families = made._metrics.families
        monkeypatch.setattr(made.workers.reports, "metrics", metrics)
        monkeypatch.setattr(
            made._metrics, "families", lambda: [asked.append("supervisor"), families()][1]
        )
        await made._exposition("text/plain")
    assert asked == ["workers", "supervisor"]
