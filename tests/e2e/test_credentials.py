"""Who may connect to the processor: mutual TLS on TCP, file permissions on a unix socket."""

import os
import shutil
import stat

import grpc
import pytest
from harness.certificates import Authority
from harness.fake_provider import FakeProvider
from harness.gateway import Stack

from extproc._wire import ext_proc_pb2 as wire
from extproc.contract import APPLICATION, SERVICE


@pytest.fixture(scope="module")
def authorities():
    return Authority("the processor's"), Authority("somebody else's")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, authorities):
    """A folder with certificates by name: NAME.crt, NAME.key; ca.pem."""
    folder = tmp_path_factory.mktemp("tls")
    ours, foreign = authorities
    (folder / "ca.pem").write_bytes(ours.pem)
    for authority, file, name in (
        (ours, "processor", "extproc"),
        (ours, "envoy", "envoy"),
        (ours, "neighbour", "neighbour"),
        (foreign, "stranger", "envoy"),
    ):
        authority.issue(
            name, certificate=folder / f"{file}.crt", key=folder / f"{file}.key", client=True
        )
    return folder


@pytest.fixture(scope="module")
def stack(folder):
    tls = {
        "ca": "ca.pem",
        "certificate": "processor.crt",
        "key": "processor.key",
        "envoy_certificate": "envoy.crt",
        "envoy_key": "envoy.key",
    }
    settings = {"listen_tls": {key: str(folder / file) for key, file in tls.items()}}
    with Stack(FakeProvider(), settings=settings) as stack:
        yield stack


def ask(stack, folder, name):
    """Send one navigation with this certificate.

    Returns the status of the answer, or of the stream.
    """
    files = (folder / "ca.pem", folder / f"{name}.key", folder / f"{name}.crt")
    credentials = (
        grpc.ssl_channel_credentials(*(file.read_bytes() for file in files))
        if name
        else grpc.ssl_channel_credentials(files[0].read_bytes())
    )
    options = [("grpc.ssl_target_name_override", "extproc")]
    with grpc.secure_channel(stack.settings["listen"], credentials, options) as channel:
        return _ask(channel)


def _ask(channel):
    head = {
        ":method": "GET",
        ":path": "/",
        ":authority": "localhost",
        ":scheme": "http",
        "accept": "text/html",
    }
    request = wire.ProcessingRequest()
    for key, value in head.items():
        request.request_headers.headers.headers.add(key=key, raw_value=value.encode())
    method = channel.stream_stream(
        f"/{SERVICE}/Process",
        wire.ProcessingRequest.SerializeToString,
        wire.ProcessingResponse.FromString,
    )
    try:
        return next(
            iter(method(iter([request]), metadata=((APPLICATION, "app"),), timeout=60))
        ).immediate_response.status.code
    except grpc.RpcError as error:
        return error.code()


def test_envoy_shows_its_certificate_and_a_login_works(stack):
    with stack.user("alice") as user:
        assert user.go(stack.url("/private")).status_code == 200


@pytest.mark.threat("processor-peer")
def test_a_certificate_that_is_not_envoys_is_not_enough(stack, folder):
    assert ask(stack, folder, "envoy") == 303
    assert ask(stack, folder, "neighbour") == grpc.StatusCode.UNAUTHENTICATED
    for name in ("stranger", None):
        assert ask(stack, folder, name) == grpc.StatusCode.UNAVAILABLE, name
    with grpc.insecure_channel(stack.settings["listen"]) as channel:
        assert _ask(channel) == grpc.StatusCode.UNAVAILABLE
    with stack.user("bob") as user:
        assert user.go(stack.url("/private")).status_code == 200


def test_a_new_certificate_is_shown_from_the_next_handshake_on_and_a_bad_one_never(
    stack, folder, authorities
):
    kept = {name: (folder / f"processor.{name}").read_bytes() for name in ("crt", "key")}
    (folder / "processor.crt").write_text("nonsense")
    assert ask(stack, folder, "envoy") == 303
    assert "certificate_refused" in stack.extproc.output()
    authorities[1].issue(
        "extproc", certificate=folder / "new.crt", key=folder / "new.key", client=True
    )
    for name in ("crt", "key"):
        shutil.move(folder / f"new.{name}", folder / f"processor.{name}")
    assert ask(stack, folder, "envoy") == grpc.StatusCode.UNAVAILABLE, (
        "the client's authority does not know it"
    )
    for name, content in kept.items():
        (folder / f"processor.{name}").write_bytes(content)
    assert ask(stack, folder, "envoy") == 303


@pytest.mark.threat("processor-peer")
@pytest.mark.parametrize(("mode", "listen"), [(0o660, {}), (0o600, {"listen_mode": "0600"})])
def test_a_unix_socket_is_for_its_owner_and_group_whatever_the_umask_says(mode, listen):
    def settings(stack):
        return {"listen": f"unix:{stack.directory}/extproc.sock", **listen}

    before = os.umask(0)
    try:
        with Stack(FakeProvider(), settings=settings) as stack, stack.user("alice") as user:
            assert stat.S_IMODE(os.stat(stack.directory / "extproc.sock").st_mode) == mode
            assert user.go(stack.url("/private")).status_code == 200
    finally:
        os.umask(before)
