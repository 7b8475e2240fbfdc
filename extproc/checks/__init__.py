"""What `extproc check` looks at, a module for each group; each gives findings, and nothing here
prints.

configured   the settings, and the Envoy configuration that they make
providers    each provider, over the network
parts        the store and the processor, as they run
gateway      a running Envoy, or a file, against the generated configuration: fronts, trees,
comparing, rules
login        a login as a browser would begin it, up to the provider's page
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from extproc.checks.envoy import check_file, check_running
from extproc.checks.findings import Finding, Level
from extproc.checks.providers import check_provider
from extproc.checks.running import check_processor, check_store
from extproc.checks.settings import configured, registration
from extproc.settings import Settings

__all__ = ["Finding", "Level", "Scope", "check", "registration"]


@dataclass(frozen=True, slots=True)
class Scope:
    """What to look at besides the settings. envoy_admin: in place of gateway.admin; envoy_config: a
    file in place of both.
    """

    offline: bool = False
    envoy_admin: str | None = None
    envoy_config: Path | None = None


def check(settings: Settings, scope: Scope) -> Iterator[Finding]:
    yield from configured(settings)
    if scope.envoy_config is not None:
        yield from check_file(settings, scope.envoy_config)
    if scope.offline:
        return
    for name in settings.providers:
        yield from check_provider(settings, name)
    yield from check_store(settings)
    yield from check_processor(settings)
    if scope.envoy_admin is not None:
        yield from check_running(settings, scope.envoy_admin, asked_for=True)
    elif settings.gateway.admin is not None and scope.envoy_config is None:
        yield from check_running(settings, f"http://{settings.gateway.admin}", asked_for=False)
