"""Settings of the gRPC listener."""

import pytest


@pytest.mark.parametrize("mode", [660, "0680", "66", "00660", "rw-rw----"])
def test_access_rights_are_octal_digits_in_quotes(fault, mode):
    line = fault({"listen": "unix:/x.sock", "listen_mode": mode})
    assert line == ': listen_mode: access rights are octal digits in quotes, such as "0660"'


@pytest.mark.parametrize(("mode", "rights"), [("0600", 0o600), ("660", 0o660)])
def test_access_rights_are_read_as_octal_and_written_as_in_the_file(read, mode, rights):
    settings = read({"listen_mode": mode})
    assert settings.listen_mode == rights
    assert settings.model_dump()["listen_mode"] == f"0{mode[-3:]}"


def test_who_may_speak_over_tls_has_a_name_that_can_be_changed(read):
    files = dict.fromkeys(("ca", "certificate", "key", "envoy_certificate", "envoy_key"), "x.pem")
    settings = read({"listen_tls": {**files, "envoy_name": "envoy.example"}})
    assert (settings.listen_tls.name, settings.listen_tls.envoy_name) == (
        "extproc",
        "envoy.example",
    )
