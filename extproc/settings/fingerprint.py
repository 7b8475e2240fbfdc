"""By what Envoy and the processor notice that they were configured from different settings."""

import hashlib
import json
from collections.abc import Iterator
from operator import itemgetter

from extproc.settings.access import access_digest
from extproc.settings.applications import ApplicationSettings
from extproc.settings.root import Settings

_LENGTH = 16  # hexadecimal digits


def fingerprint(settings: Settings, name: str) -> str:
    """What both sides have to agree on about an application, as a short text.

    Envoy's routes decide which application a request is for, what it demands, and which identity
    headers of a client are removed; the processor decides about the user. With different settings a
    path of one application would be decided by the rules of another. So the other applications on
    its hosts are among it: an inner one that Envoy does not know yet would be open to the users of
    the outer one.

    The provider is not among it: the processor alone decides by which provider users sign in, and
    takes another one without a new configuration of Envoy. Where two applications share hosts and
    an upstream, whether their providers differ does count for the outer one, because Envoy then
    refuses its paths that the upstream may read as paths of the inner one.
    """
    application = settings.applications[name]
    provider = settings.providers.get(application.provider or "")
    agreed = [
        name,
        sorted(application.hosts),
        application.path_prefix,
        settings.url(name),
        sorted(application.public_paths),
        _demand(application),
        application.forward_access_token,
        sorted(application.end_streams),
        provider is not None and provider.backchannel_logout,
        # Envoy's routes have places for the cookies of such a session.
        settings.store.kind == "cookie",
        settings.identity.header_prefix,
        sorted(settings.identity_headers(name)),
        # Envoy removes from clients what any application reads.
        settings.own_identity_headers,
        sorted(_neighbours(settings, name), key=itemgetter(0)),
    ]
    return hashlib.sha256(json.dumps(agreed).encode()).hexdigest()[:_LENGTH]


def fingerprints(settings: Settings) -> dict[str, str]:
    """The fingerprint of each application with a login, by its name."""
    return {name: fingerprint(settings, name) for name in settings.protected}


def _neighbours(settings: Settings, name: str) -> Iterator[tuple[str, str, list[object]]]:
    """The other applications on the same hosts: name, path_prefix, and what one demands whose paths
    the upstream may read in a path of this one (envoyconfig/sharing.py).
    """
    application = settings.applications[name]
    hosts = set(application.hosts)
    for other, each in settings.applications.items():
        everywhere = "*" in hosts or "*" in each.hosts
        if other == name or not (everywhere or hosts.intersection(each.hosts)):
            continue
        asks: list[object] = []
        if _may_be_read_as(application, each):
            differs = each.provider != application.provider
            rules = access_digest(each.allow, each.rules, each.public_paths)
            asks = [each.exclude, differs, _demand(each), rules]
        yield other, each.path_prefix, asks


def _may_be_read_as(outer: ApplicationSettings, inner: ApplicationSettings) -> bool:
    """Whether Envoy's routes of one application depend on what the other demands."""
    return (
        outer.upstream_paths == "folds"
        and outer.upstream_address == inner.upstream_address
        and not outer.path_prefix.startswith(inner.path_prefix)
    )


def _demand(application: ApplicationSettings) -> list[object]:
    """What a login for the application has to be."""
    return [
        application.acr_values,
        application.max_age,
        application.prompt,
        sorted(application.authorization_params.items()),
    ]
