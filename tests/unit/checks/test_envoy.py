"""A file or a running Envoy against the generated configuration."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from harness.envoy_config import simple, tree
from harness.static_server import Answer, StaticServer

from extproc.checks.envoy import check_file, check_running
from extproc.envoyconfig import to_yaml


@pytest.fixture
def admin() -> Iterator[StaticServer]:
    """An Envoy's admin interface."""
    with StaticServer() as server:
        yield server


@pytest.mark.parametrize("text", ["[1]", "a: 1", "{", "\u0000"])
def test_a_file_without_a_configuration_is_one_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "envoy.yaml"
    path.write_text(text)
    (only,) = check_file(simple(), path)
    assert only.level == "error" and str(path) in only.part and only.remedy
    (gone,) = check_file(simple(), tmp_path / "gone.yaml")
    assert gone.what == "No such file or directory"


ODD = [
    "static_resources: 2020-13-45",
    "static_resources: {listeners: [1, [2], {filter_chains: 3}, {address: [4]}]}",
    "static_resources: {listeners: {a: b}, clusters: [{load_assignment: x}]}",
    "configs: [1, {'@type': 2}, {'@type': ListenersConfigDump, static_listeners: [7]}]",
    "? [a, b]\n: c\nstatic_resources: {listeners: [{name: [x]}]}",
    "static_resources: " + "[" * 3000,
]


@pytest.mark.parametrize("text", ODD)
def test_values_that_no_envoy_has_are_findings_and_no_traceback(tmp_path: Path, text: str) -> None:
    path = tmp_path / "envoy.yaml"
    path.write_text(text)
    found = list(check_file(simple(), path))
    assert found and all(each.level != "ok" for each in found)


@pytest.mark.parametrize("version", [None, 5, ["1.36"], {}])
def test_a_version_that_is_no_text_is_shown_or_left_out(admin: StaticServer, version) -> None:
    admin.answers["/config_dump"] = Answer.json(tree(simple()))
    admin.answers["/server_info"] = Answer.json({"version": version})
    first, *_ = check_running(simple(), admin.url, must_answer=True)
    assert first.part == "gateway.admin"


def test_a_broken_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "envoy.yaml"
    path.write_text("a: 1\nb: [\n")
    (only,) = check_file(simple(), path)
    assert only.part == f"{path}:3"
    path.write_bytes(b"\xff\xfe\x00")
    (only,) = check_file(simple(), path)
    assert only.what == "is not UTF-8 text"


@pytest.mark.parametrize("dump", [json.dumps, yaml.safe_dump])
def test_the_generated_configuration_is_right_in_json_and_yaml(tmp_path: Path, dump) -> None:
    path = tmp_path / "envoy"
    path.write_text(dump(yaml.safe_load(to_yaml(simple()))))
    assert [each.level for each in check_file(simple(), path)] == ["ok"]


def test_a_running_envoy_is_compared_and_its_version_shown(admin: StaticServer) -> None:
    listeners = tree(simple())["static_resources"]["listeners"]
    clusters = tree(simple())["static_resources"]["clusters"]
    dump = [
        {
            "@type": "x.ListenersConfigDump",
            "static_listeners": [{"listener": each} for each in listeners],
        },
        {
            "@type": "x.ClustersConfigDump",
            "static_clusters": [{"cluster": each} for each in clusters],
        },
    ]
    admin.answers["/config_dump"] = Answer.json({"configs": dump})
    admin.answers["/server_info"] = Answer.json({"version": "abc/1.36.4/Clean/RELEASE/BoringSSL"})
    found = list(check_running(simple(), admin.url, must_answer=True))
    assert [each.what for each in found if each.level == "ok"] == [each.what for each in found]
    assert found[0].what == "Envoy 1.36.4 runs"


@pytest.mark.parametrize(("must_answer", "level"), [(True, "error"), (False, "warning")])
def test_an_admin_interface_that_is_none_is_one_finding(
    admin: StaticServer, must_answer: bool, level: str
) -> None:
    for answer in (Answer(404), Answer.json([]), Answer.html("<p>")):
        admin.answers["/config_dump"] = answer
        (only,) = check_running(simple(), admin.url, must_answer=must_answer)
        assert (only.level, only.part) == (level, "gateway.admin")
