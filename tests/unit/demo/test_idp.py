"""The demo's provider answers the protocol alone."""

import pytest

from extproc.demo.files import write_files
from extproc.demo.idp import application
from extproc.demo.layout import lay_out


@pytest.fixture
def client(tmp_path):
    layout = lay_out(tmp_path, None)
    write_files(layout)
    return application(layout.idp_folder).test_client()


@pytest.mark.parametrize("path", ["/", "/users", "/api/users", "/api/config"])
def test_its_management_is_not_there(client, path):
    assert client.get(path).status_code == 404


def test_it_is_an_openid_provider_with_the_issuer_of_the_gateway(client):
    metadata = client.get("/.well-known/openid-configuration").get_json()
    assert metadata["issuer"].startswith("http://127.0.0.1:")
    assert "S256" in metadata["code_challenge_methods_supported"]


def test_its_pages_load_nothing_from_other_sites(client):
    answer = client.get("/logout")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "https://" not in answer.text
