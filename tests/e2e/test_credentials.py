"""Who may connect to the processor: mutual TLS on TCP, file permissions on a unix socket."""

import os
import shutil
import stat

import grpc
import pytest
from harness.certificates import Authority
from harness.envoy import envoys, in_turns
from harness.fake_provider import FakeProvider
from harness.gateway import Stack, called
from harness.processes import wait_until

from extproc._wire import ext_proc_pb2 as wire
from extproc.cli.main import main
from extproc.contract import APPLICATION, SERVICE

OPERATOR = {"x-extproc-operator": "1"}
SOCKETS = ("extproc.sock", "admin.sock", "envoy.sock")


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


def on_sockets(stack):
    """Every listener but the gateway's own is a unix socket."""
    listen, admin, envoy = (f"unix:{stack.directory}/{name}" for name in SOCKETS)
    return {"listen": listen, "admin": admin, "gateway": {"admin": envoy}}


def printed(capsys, *command):
    """The exit code and the output of a command, which runs in this process."""
    with pytest.raises(SystemExit) as done:
        main([str(word) for word in command])
    return done.value.code, capsys.readouterr().out


@pytest.mark.threat("processor-peer")
@pytest.mark.parametrize(("version", "workers"), in_turns(envoys(), (1, 2)))
def test_one_machine_needs_no_port_but_the_gateway_s(version, workers, capsys):
    program = envoys()[version]

    def settings(stack):
        return {**on_sockets(stack), "workers": workers}

    with Stack(FakeProvider(), settings=settings, envoy=program) as stack:
        ours = [stack.directory / name for name in SOCKETS]
        if workers > 1:
            ours[:1] = [stack.directory / f"extproc.{number}.sock" for number in (1, 2)]
        for path in ours:
            assert stat.S_IMODE(path.stat().st_mode) == 0o660, path
        with stack.user("alice") as user:
            assert user.go(stack.url("/private")).status_code == 200
            # Envoy has the keys of assertions by the socket, so it asks the processor no more.
            before = stack.streams()
            assert user.go(stack.url("/private")).status_code == 200
            assert stack.streams() == before
        code, output = printed(capsys, "sessions", "list", "--all", "--config", stack.config)
        assert code == 0 and " app " in output
        assert '"unix socket"' in stack.extproc.output()
        code, output = printed(capsys, "check", "--config", stack.config)
        assert code == 0, output
        assert "ok: admin: the processor is ready" in output
        assert "ok: gateway.admin: Envoy" in output and "is a port" not in output
        code, output = printed(
            capsys, "check", "--envoy-admin", on_sockets(stack)["gateway"]["admin"],
            "--config", stack.config,
        )  # fmt: skip
        assert code == 0 and "ok: gateway.admin: Envoy" in output
        explains(stack, capsys)
        assert called(stack.settings["admin"], "/sessions?all=1").status_code == 403
        proxied = {**OPERATOR, "x-forwarded-for": "192.0.2.1"}
        answer = called(stack.settings["admin"], "/sessions?all=1", headers=proxied)
        assert answer.status_code == 403
        # A killed processor leaves its sockets behind, and one that ends takes the admin's along.
        stack.kill_extproc()
        assert ours[-2].exists()
        stack.start_extproc()
        with stack.user("bob") as user:
            assert user.go(stack.url("/private")).status_code == 200
        assert stack.stop_extproc() == 0
        assert not (stack.directory / "admin.sock").exists()


def explains(stack, capsys):
    """`extproc explain` reads a trace with Envoy's span, which came by the socket, too."""

    def of_envoy():
        listed = called(stack.settings["admin"], "/traces.json").json()["traces"]
        return [each["trace_id"] for each in listed if "envoy" in each["services"]]

    wait_until(of_envoy, 60)
    code, output = printed(capsys, "explain", of_envoy()[0], "--config", stack.config)
    assert code == 0 and "envoy" in output
    admin = stack.settings["admin"]
    code, output = printed(
        capsys, "explain", of_envoy()[0], "--admin", admin, "--config", stack.config
    )
    assert code == 0 and "envoy" in output
