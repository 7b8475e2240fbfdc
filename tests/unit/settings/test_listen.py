"""Settings of the gRPC listener."""

import pytest
import yaml

from extproc.settings import SettingsError, load

RIGHT = 'write "0660" for owner and group, or "0600" for the owner alone'


@pytest.mark.parametrize(
    "mode", ["0680", "66", "00660", "rw-rw----", "0o660", "4755", "4777", "4660", "1660", "٠٦٦٠"]
)
def test_access_rights_are_octal_digits_without_special_bits(fault, mode):
    line = fault({"listen": "unix:/x.sock", "listen_mode": mode})
    assert line.startswith(": listen_mode: access rights are three octal digits, or four that")
    assert line.endswith(RIGHT)


@pytest.mark.attack("EXTP-11")
@pytest.mark.parametrize("mode", ["432", "0666", "0777", "0664", "0662", "0661", "007", "604"])
def test_access_rights_are_never_for_others(fault, mode):
    line = fault({"listen": "unix:/x.sock", "listen_mode": mode})
    assert line.startswith(f": listen_mode: {mode} lets every user of the machine open the socket")
    assert line.endswith(RIGHT)


@pytest.mark.parametrize("text", ["432", "0660", "660", "0o660"])
def test_access_rights_without_quotes_are_a_number_to_yaml_and_the_error_says_so(file, right, text):
    file.write_text(f"{yaml.safe_dump(right)}\nlisten_mode: {text}\n")
    with pytest.raises(
        SettingsError, match=r"listen_mode: access rights are .*in quotes"
    ) as caught:
        load(file)
    assert RIGHT in str(caught.value)


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
