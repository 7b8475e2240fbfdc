"""The origins of an application's own pages, and a rule about those of others."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from extproc.addresses import bracketed
from extproc.core.http import origin
from extproc.settings.applications import ApplicationSettings

# RFC 9110 section 9.2.1, of the methods that pages can use.
_SAFE = {"GET", "HEAD", "OPTIONS"}


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


def check_cors(applications: Mapping[str, ApplicationSettings], name: str, url: str) -> None:
    """Check that `csrf` refuses nothing that `cors` offers to a page of another origin.

    The origins of `cors` are not taken for `allowed_origins`, because those may do more: open
    WebSockets, and send requests as the user without `cors.credentials`.

    Args:
        applications: All applications, by name.
        name: The application.
        url: Its public address.

    Raises:
        ValueError: With the key, and what would be right.
    """
    application = applications[name]
    if application.cors is None or application.csrf != "same_origin":
        return
    unsafe = [method for method in application.cors.methods if method not in _SAFE]
    known = {*own_origins(applications, name, url), *application.allowed_origins}
    for each in application.cors.origins:
        if unsafe and each not in known:
            raise ValueError(
                f"applications.{name}.cors: csrf: same_origin refuses {unsafe[0]} to pages of "
                f"{each}; list it in allowed_origins, too, or set cors.methods: [GET, HEAD]"
            )
