"""A file with settings, and commands run in this process."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from harness.fake_provider import FakeProvider

from extproc.cli.main import main

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    settings = {
        "secret": "an old tree keeps its secrets well, they say",
        "gateway": {"url": "http://localhost:8080"},
        "providers": {
            "main": {"issuer": "http://127.0.0.1:9", "client_id": "c", "client_secret": "s"}
        },
        "applications": {
            "app": {"hosts": ["localhost"], "upstream": "http://127.0.0.1:9", "provider": "main"}
        },
        "store": {"path": str(tmp_path / "sessions.sqlite3")},
        "log": {"level": "WARNING", "format": "text"},
    }
    path = tmp_path / "extproc.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """run("reasons"): the exit code, and everything that the command prints."""

    def command(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as done:
            main(list(arguments))
        printed = capsys.readouterr()
        code = done.value.code
        if isinstance(code, str):
            return 1, printed.out + code
        return int(code or 0), printed.out + printed.err

    return command


@pytest.fixture
def liar() -> Iterator[FakeProvider]:
    """An HTTP server that answers what a test wants."""
    server = FakeProvider(behind=False)
    server.start()
    yield server
    server.close()
