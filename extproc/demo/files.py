"""What the demo writes into its folder, and where everything is."""

import json
import os
import secrets
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from extproc.envoyconfig import to_yaml
from extproc.settings import load

CLIENT_ID = "gateway"
PREFERRED_PORT = 8080


class PortTaken(Exception):
    """The port asked for cannot be had."""


@dataclass(frozen=True, slots=True)
class User:
    name: str
    password: str
    full_name: str
    groups: tuple[str, ...]


ALICE = User("alice", "wonderland", "Alice Liddell", ("staff", "admins"))
BOB = User("bob", "builder", "Bob Böhm", ("staff",))
USERS = (ALICE, BOB)


@dataclass(frozen=True, slots=True)
class Layout:
    """The ports and files of one run; the addresses end with a slash where they have no path."""

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
    """Chooses the ports. All are held open together while it chooses, so no two are the same."""
    with ExitStack() as held:
        gateway = _gateway_port(port, held)
        others = [held.enter_context(_bound("127.0.0.1", 0)).getsockname()[1] for _ in range(5)]
    return Layout(folder, gateway, *others)


def _gateway_port(port: int | None, held: ExitStack) -> int:
    for wanted in (port,) if port is not None else (PREFERRED_PORT, 0):
        try:
            sock = held.enter_context(_bound("127.0.0.1", wanted))
            got: int = sock.getsockname()[1]
            # a browser that asks localhost tries ::1 first: there must be nobody there either
            if socket.has_ipv6:
                held.enter_context(_bound("::1", got))
        except OSError as error:
            if error.strerror and "assign" in error.strerror:  # no IPv6 loopback on this machine
                return got
            continue
        return got
    raise PortTaken(
        f"port {port} cannot be had: something listens there already, or it needs rights "
        "that you lack"
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


def write_files(layout: Layout) -> None:
    """Secrets, the settings, Envoy's configuration made of them, and the provider's two files."""
    client_secret = secrets.token_urlsafe(24)
    _write(layout.folder / "secret", secrets.token_urlsafe(48))
    _write(layout.folder / "client-secret", client_secret)
    _write(
        layout.settings_file,
        SETTINGS_HEAD + yaml.safe_dump(_settings(layout), sort_keys=False, width=120),
    )
    _write(layout.envoy_file, to_yaml(load(layout.settings_file)))
    layout.idp_folder.mkdir()
    _write(
        layout.idp_folder / "settings.yaml", yaml.safe_dump(_idp_settings(layout, client_secret))
    )
    _write(layout.idp_folder / "users.yaml", yaml.safe_dump(_idp_users(), allow_unicode=True))


SETTINGS_HEAD = """# Made by `extproc demo`: for `extproc serve`, `extproc envoy`, `extproc check`.
"""


def _settings(layout: Layout) -> dict[str, Any]:
    folder, port = layout.folder, layout.gateway_port
    provider = {
        "issuer": layout.idp.rstrip("/"),
        "client_id": CLIENT_ID,
        "client_secret_file": str(folder / "client-secret"),
    }
    application = {
        "hosts": ["localhost"],
        "path_prefix": "/",
        "upstream": f"http://127.0.0.1:{layout.app_port}",
        "provider": "main",
        "public_paths": ["/public/"],
    }
    # the provider is behind the same Envoy: excluded, or its pages would wait for a login at itself
    idp = {
        "hosts": ["127.0.0.1"],
        "path_prefix": "/",
        "upstream": f"http://127.0.0.1:{layout.idp_port}",
        "exclude": True,
    }
    return {
        "secret_file": str(folder / "secret"),
        "listen": f"127.0.0.1:{layout.listen_port}",
        "admin": f"127.0.0.1:{layout.admin_port}",
        "gateway": {
            "listen": f"127.0.0.1:{port}",
            "url": f"http://localhost:{port}",
            "access_log": str(layout.access_log),
            "admin": f"127.0.0.1:{layout.envoy_admin_port}",
        },
        "providers": {"main": provider},
        "applications": {"app": application, "idp": idp},
        "identity": {
            "headers": {
                "x-auth-sub": "sub",
                "x-auth-email": "email",
                # nanoidp keeps what it does not know itself in an object
                "x-auth-name": "attributes.name",
                "x-auth-groups": "groups",
            }
        },
        "store": {"path": str(folder / "sessions.sqlite3")},
        # to look at; a gateway in use traces its own endpoints and a small share of the rest
        "tracing": {"sample": 1},
        "timeouts": {"drain": "2s"},
    }


def _idp_settings(layout: Layout, client_secret: str) -> dict[str, Any]:
    client = {
        "client_id": CLIENT_ID,
        "client_secret": client_secret,
        "redirect_uris": [layout.callback],
        "description": "The application behind the gateway",
    }
    return {
        "config_version": 1,
        "server": {"host": "127.0.0.1", "port": layout.idp_port},
        "oauth": {
            "issuer": layout.idp.rstrip("/"),
            "audience": CLIENT_ID,
            "require_pkce": True,
            "clients": [client],
        },
        "jwt": {"keys_dir": str(layout.idp_folder / "keys")},
        "session": {"secret_key": secrets.token_urlsafe(32)},
        "logging": {"verbose_logging": False, "log_token_requests": False},
        "cors_allowed_origins": [],
    }


def _idp_users() -> dict[str, Any]:
    users = {
        user.name: {
            "password": user.password,
            "email": f"{user.name}@example.org",
            "groups": list(user.groups),
            "attributes": {"name": user.full_name},
        }
        for user in USERS
    }
    return {"config_version": 1, "users": users}


def write_description(layout: Layout, path: Path, pids: tuple[tuple[str, int], ...]) -> None:
    """The addresses and process ids as JSON, all at once: who waits for the file never reads half
    of it.
    """
    text = json.dumps(
        {
            "gateway": f"http://localhost:{layout.gateway_port}",
            "app": layout.app,
            "idp": layout.idp.rstrip("/"),
            "admin": layout.admin.rstrip("/"),
            "traces": layout.traces,
            "config": str(layout.settings_file),
            "pids": dict(pids),
            "user": {"name": ALICE.name, "password": ALICE.password},
        },
        indent=2,
    )
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text + "\n")
    draft.replace(path)


def _write(path: Path, text: str) -> None:
    """A file for its owner alone."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
