"""The files that the demo writes into its folder."""

import json
import os
import secrets
from pathlib import Path
from typing import Any

import yaml

from extproc.demo.layout import ADMIN_PATH, ADMINS, ALICE, BOB, USERS, Layout
from extproc.envoyconfig import to_yaml
from extproc.settings import load

CLIENT_ID = "gateway"


def write_files(layout: Layout) -> None:
    """Writes the secrets, the settings, the Envoy configuration for them, and the provider's two
    files.
    """
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
        "providers": {
            "main": {
                "issuer": layout.idp.rstrip("/"),
                "client_id": CLIENT_ID,
                "client_secret_file": str(folder / "client-secret"),
            }
        },
        "applications": _applications(layout),
        "identity": {
            "headers": {
                "x-auth-sub": "sub",
                "x-auth-email": "email",
                # nanoidp keeps other attributes of a user in an object.
                "x-auth-name": "attributes.name",
                "x-auth-groups": "groups",
            }
        },
        "store": {"path": str(folder / "sessions.sqlite3")},
        # Everything, to look at. A gateway in use traces its own endpoints and a small share of the
        # rest.
        "tracing": {"sample": 1},
        "timeouts": {"drain": "2s"},
    }


def _applications(layout: Layout) -> dict[str, Any]:
    return {
        "app": {
            "hosts": ["localhost"],
            "path_prefix": "/",
            "upstream": f"http://127.0.0.1:{layout.app_port}",
            "provider": "main",
            "public_paths": ["/public/"],
            "rules": [{"name": "admin", "paths": [ADMIN_PATH], "allow": {"groups": [ADMINS]}}],
        },
        # The provider is behind the same Envoy: excluded, because otherwise its pages would need a
        # login at itself.
        "idp": {
            "hosts": ["127.0.0.1"],
            "path_prefix": "/",
            "upstream": f"http://127.0.0.1:{layout.idp_port}",
            "exclude": True,
        },
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
    """Writes the addresses and process ids as JSON, so that a reader never sees a part of the
    file.
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
            "other_user": {"name": BOB.name, "password": BOB.password},
        },
        indent=2,
    )
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text + "\n")
    draft.replace(path)


def _write(path: Path, text: str) -> None:
    """Writes a new file that its owner alone can read."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
