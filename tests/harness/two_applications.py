"""Settings of two applications on one upstream, the inner of which may ask more of a user."""

from typing import Any

from extproc.settings import Settings
from harness.envoy_config import APP, UPSTREAM
from harness.envoy_parts import settings

UP = {"upstream": UPSTREAM}


def made(**applications: dict[str, Any]) -> Settings:
    """These applications, with the providers `main` and `other`."""
    providers = {
        name: {"issuer": f"https://{name}.example", "client_id": "gateway"}
        for name in ("main", "other")
    }
    return settings(applications=applications, providers=providers)


def two(outer: dict[str, Any], inner: dict[str, Any], path_prefix: str = "/payroll/") -> Settings:
    """An application around another."""
    return made(outer={**APP, **outer}, inner={**APP, "path_prefix": path_prefix, **inner})
