"""The examples in envoy/ are up to date, and the real Envoy accepts them and other generated text."""

from pathlib import Path

import pytest
from examples import EXAMPLES, NAMES, SECRET, example
from harness.envoy_config import simple

from extproc.envoyconfig import secret_files, to_yaml, validate
from extproc.settings import load


def test_envoy_finds_the_text_good_and_says_what_is_wrong_with_another(envoy: Path) -> None:
    assert validate(to_yaml(simple(gateway={"admin": "127.0.0.1:9901"})), envoy) == []
    (line,) = validate(
        to_yaml(simple()).replace("connect_timeout: 5s", "connect_timeout: soon"), envoy
    )
    assert "soon" in line
    wrong = to_yaml(simple()).replace("filter: envoy.filters.http.jwt_authn", "filter: ''")
    (line,) = validate(wrong, envoy)
    assert "length must be at least 1" in line
    assert len(line) < 2000


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_are_what_extproc_envoy_prints(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Generate them again with: PYTHONPATH=.:tests python tools/examples.py"""
    monkeypatch.setenv("EXTPROC_SECRET", SECRET)
    monkeypatch.setenv("CLIENT_SECRET", SECRET)
    assert (EXAMPLES / f"{name}.yaml").read_text() == example(name)


def test_there_are_examples() -> None:
    assert {
        "basic",
        "provider-excluded",
        "provider-direct",
        "provider-own-envoy",
        "tls",
        "workers",
    } <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_envoy_finds_the_examples_good(
    name: str, envoy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXTPROC_SECRET", SECRET)
    monkeypatch.setenv("CLIENT_SECRET", SECRET)
    text = (EXAMPLES / f"{name}.yaml").read_text().replace("/var/log/envoy/", f"{tmp_path}/")
    for path, secret in secret_files(load(EXAMPLES / f"{name}.extproc.yaml")).items():
        (tmp_path / path.name).write_text(secret)
        text = text.replace(f"{path.parent}", str(tmp_path))
    assert validate(text, envoy) == []
