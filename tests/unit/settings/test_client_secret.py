"""The secret of a client: in the settings, or in a file."""

import pytest
from pydantic import SecretStr

from extproc.settings.client_secret import check_client_secret, client_secret


def test_a_secret_is_in_one_place_and_not_empty(tmp_path):
    check_client_secret(None, None, "enter one")
    check_client_secret(SecretStr("s"), None, "enter one")
    with pytest.raises(ValueError, match=r"^client_secret or client_secret_file, not both$"):
        check_client_secret(SecretStr("s"), tmp_path, "enter one")
    with pytest.raises(ValueError, match=r"^client_secret is empty; enter one$"):
        check_client_secret(SecretStr(""), None, "enter one")


def test_a_secret_is_read_of_its_file_without_the_blanks_around_it(tmp_path):
    file = tmp_path / "secret"
    file.write_text(" s3 cret\n")
    assert client_secret(None, file) == SecretStr("s3 cret")
    assert client_secret(SecretStr("s"), None) == SecretStr("s")
    assert client_secret(None, None) is None
