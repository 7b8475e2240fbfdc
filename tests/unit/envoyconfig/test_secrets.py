"""The files by which Envoy finds certificates, keys and authorities."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.envoy_config import APP, messages, simple, tree

from extproc.envoyconfig.secrets import secret_files, write_secret_files

LISTEN_TLS = {
    "ca": "pki/ca.pem",
    "certificate": "pki/processor.pem",
    "key": "pki/processor.key",
    "envoy_certificate": "pki/envoy.pem",
    "envoy_key": "pki/envoy.key",
}


def everything(directory: object) -> Any:
    """Settings with every kind of file that Envoy reads for TLS."""
    return simple(
        gateway={
            "url": "https://localhost:8080",
            "tls": {
                "certificate": "tls.crt",
                "key": "keys/tls.key",
                "client_ca_file": "pki/clients.pem",
            },
            "sds_directory": str(directory),
        },
        listen_tls=LISTEN_TLS,
        applications={
            "app": {**APP, "upstream": "https://a.example", "upstream_ca_file": "/pki/app.pem"},
            "wiki": {**APP, "path_prefix": "/wiki/", "upstream": "https://b.example"},
            "plain": {**APP, "path_prefix": "/plain/"},
        },
        tracing={"endpoint": "https://collector.example"},
    )


def resources(directory: object = "sds") -> dict[str, Any]:
    found = {}
    for path, text in secret_files(everything(directory)).items():
        (resource,) = yaml.safe_load(text)["resources"]
        assert resource["name"] == path.stem
        found[path.stem] = resource
    return found


def test_every_secret_that_the_configuration_names_has_its_file_and_no_file_is_left_over() -> None:
    named = {
        each["path_config_source"]["path"]
        for each in messages(tree(everything("sds")))
        if "path_config_source" in each
    }
    assert named == {str(path) for path in secret_files(everything("sds"))}
    assert len(named) == 7


def test_envoy_reads_no_file_for_tls_that_it_does_not_watch() -> None:
    assert not [each for each in messages(tree(everything("sds"))) if "filename" in each]


def test_a_pair_is_watched_in_the_directory_of_its_certificate() -> None:
    assert resources()["gateway"]["tls_certificate"] == {
        "certificate_chain": {"filename": "tls.crt"},
        "private_key": {"filename": "keys/tls.key"},
        "watched_directory": {"path": "."},
    }


def test_authorities_are_watched_in_their_directory() -> None:
    assert resources()["application-app-authorities"]["validation_context"] == {
        "trusted_ca": {"filename": "/pki/app.pem"},
        "watched_directory": {"path": "/pki"},
    }
    assert resources()["client-authorities"]["validation_context"] == {
        "trusted_ca": {"filename": "pki/clients.pem"},
        "watched_directory": {"path": "pki"},
    }


@pytest.mark.parametrize("name", ["application-wiki-authorities", "tracing-authorities"])
def test_without_a_file_the_authorities_are_those_of_the_system(name: str) -> None:
    trusted = resources()[name]["validation_context"]["trusted_ca"]["filename"]
    assert Path(trusted).is_absolute()


def test_http_needs_no_file(tmp_path: Path) -> None:
    made = simple(gateway={"sds_directory": str(tmp_path / "sds")})
    write_secret_files(made)
    assert secret_files(made) == {} and not (tmp_path / "sds").exists()


def test_files_are_written_whole_and_no_draft_is_left(tmp_path: Path) -> None:
    made = everything(tmp_path / "a" / "sds")
    write_secret_files(made)
    write_secret_files(made)
    assert set((tmp_path / "a" / "sds").iterdir()) == set(secret_files(made))
