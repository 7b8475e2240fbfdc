"""The origins of an application's own pages."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from extproc.addresses import bracketed
from extproc.core.http import origin
from extproc.settings.applications import ApplicationSettings


def own_origins(
    applications: Mapping[str, ApplicationSettings], name: str, url: str
) -> tuple[str, ...]:
    """The origins of an application's own pages: its `url`, and the other hosts that it lists with
    the scheme and port of `url`.

    "*" adds none, because sessions exist on the host of `url` alone. A host adds none either if it
    has the pages of another application that is not on the host of `url`.

    Args:
        applications: All applications, by name.
        name: The application.
        url: Its public address.
    """
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port is not None else ""
    home = bracketed(parts.hostname or "")
    listed = [host for host in applications[name].hosts if host != "*"]
    if len(listed) > 1:
        strangers = {
            host
            for each in applications.values()
            if home not in each.hosts and "*" not in each.hosts
            for host in each.hosts
        }
        listed = [host for host in listed if host not in strangers]
    others = [origin(f"{parts.scheme}://{host}{port}") for host in listed]
    return tuple(dict.fromkeys([origin(url), *others]))
