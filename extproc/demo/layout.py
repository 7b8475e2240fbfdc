"""The ports, folders and users of one demo."""

import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

PREFERRED_PORT = 8080


class PortTaken(Exception):
    """The port that was asked for is not free. The text is for the user of the demo."""


@dataclass(frozen=True, slots=True)
class User:
    """A user at the demo's provider."""

    name: str
    password: str
    full_name: str
    groups: tuple[str, ...]


# The part of the application that a rule keeps for this group.
ADMIN_PATH = "/admin/"
ADMINS = "admins"
ALICE = User("alice", "wonderland", "Alice Liddell", ("staff", ADMINS))
BOB = User("bob", "builder", "Bob Böhm", ("staff",))
USERS = (ALICE, BOB)


@dataclass(frozen=True, slots=True)
class Layout:
    """The ports, addresses and files of one run. An address without a path ends with a slash."""

    folder: Path
    gateway_port: int
    app_port: int
    idp_port: int
    listen_port: int
    admin_port: int
    envoy_admin_port: int

    @property
    def app(self) -> str:
        return f"http://localhost:{self.gateway_port}/"

    @property
    def admin_page(self) -> str:
        return self.app.rstrip("/") + ADMIN_PATH

    @property
    def idp(self) -> str:
        return f"http://127.0.0.1:{self.gateway_port}/"

    @property
    def admin(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}/"

    @property
    def traces(self) -> str:
        return f"{self.admin}traces"

    @property
    def settings_file(self) -> Path:
        return self.folder / "extproc.yaml"

    @property
    def envoy_file(self) -> Path:
        return self.folder / "envoy.yaml"

    @property
    def access_log(self) -> Path:
        return self.folder / "access.log"

    @property
    def idp_folder(self) -> Path:
        return self.folder / "idp"

    @property
    def callback(self) -> str:
        return f"{self.app}oauth2/callback"


def lay_out(folder: Path, port: int | None) -> Layout:
    """Chooses the ports. Raises PortTaken.

    port: the gateway's; None: PREFERRED_PORT, or a free one.
    """
    # All are bound together while the ports are chosen, so no two are the same.
    with ExitStack() as held:
        gateway = _gateway_port(port, held)
        others = [held.enter_context(_bound("127.0.0.1", 0)).getsockname()[1] for _ in range(5)]
    return Layout(folder, gateway, *others)


def _gateway_port(port: int | None, held: ExitStack) -> int:
    for candidate in (port,) if port is not None else (PREFERRED_PORT, 0):
        try:
            sock = held.enter_context(_bound("127.0.0.1", candidate))
            chosen: int = sock.getsockname()[1]
            # A browser tries ::1 first for localhost: no other program may listen there either.
            if socket.has_ipv6:
                held.enter_context(_bound("::1", chosen))
        except OSError as error:
            # This machine has no IPv6 loopback.
            if error.strerror and "assign" in error.strerror:
                return chosen
            continue
        return chosen
    raise PortTaken(
        f"port {port} cannot be bound: another program listens there, or it needs more rights"
    )


def _bound(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen()
    except OSError:
        sock.close()
        raise
    return sock
