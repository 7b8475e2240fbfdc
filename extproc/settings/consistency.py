"""Rules that span several settings: each function checks one, and raises ValueError when it is
broken.

The text of each error is for the operator: the key, what is wrong, and what would be right.
"""

from collections.abc import Iterable, Mapping
from itertools import combinations
from urllib.parse import urlsplit

from extproc.addresses import Address, bracketed, collide, is_loopback
from extproc.core.endpoints import ENDPOINTS
from extproc.settings.allow import entries_of
from extproc.settings.applications import ApplicationSettings
from extproc.settings.gateway import Gateway
from extproc.settings.listen import ListenTLS, Plaintext
from extproc.settings.providers import ProviderSettings
from extproc.settings.session import SessionSettings
from extproc.settings.store import CookieSettings, StoreSettings, shares_tombstones

# How the secrets of compose.yaml begin.
PUBLISHED = "demo-only-"
COOKIE_HEADERS_KB = 48  # two generations of a session in cookies, and the other headers


def check_ports(listens: tuple[Address, ...], admin: Address, gateway: Gateway) -> None:
    """Check that no two listeners of one machine share an address.

    Otherwise the second one to bind would fail when it starts, in its own words.

    Args:
        listens: The address of each worker.
        admin: The address of the admin listener.
        gateway: Envoy's listeners; with `processors` Envoy may run on another machine, so they are
            compared with each other only.
    """
    ours = [*(_listen(listens, number) for number in range(len(listens))), ("admin", admin)]
    envoys = [
        (key, address)
        for key, address in (
            ("gateway.listen", gateway.listen),
            ("gateway.redirect_listen", gateway.redirect_listen),
            ("gateway.admin", gateway.admin),
        )
        if address is not None
    ]
    for machine in (ours, envoys) if gateway.processors else (ours + envoys,):
        for (owner, one), (key, other) in combinations(machine, 2):
            if collide(one, other):
                name = owner.rpartition(" ")[2]
                raise ValueError(
                    f"{key}: {other} is the address of {owner}, too; choose another "
                    f"{'port' if other.path is None else 'path'} for {key} or {name}"
                )


def _listen(listens: tuple[Address, ...], index: int) -> tuple[str, Address]:
    """The name of a worker's address, which ends with the key that it comes from, and itself."""
    if len(listens) == 1:
        return "listen", listens[index]
    return f"worker {index + 1} of workers: {len(listens)}, counted from listen", listens[index]


def check_published(key: str, secret: str, urls: Iterable[str]) -> None:
    """Check that a secret which everybody can read in compose.yaml protects this machine alone.

    Args:
        key: The key of the secret.
        secret: The secret itself; the error does not contain it.
        urls: Every address by which users reach the gateway.
    """
    if not secret.startswith(PUBLISHED):
        return
    for url in urls:
        if not is_loopback(urlsplit(url).hostname or ""):
            raise ValueError(
                f"{key} is the one of compose.yaml, which everybody knows, and {url} is not on "
                "loopback; make one of your own with: openssl rand -base64 48"
            )


def check_processors(listens: tuple[Address, ...], gateway: Gateway) -> None:
    """Check that `gateway.processors` names at least as many addresses as there are workers."""
    if gateway.processors and len(gateway.processors) < len(listens):
        raise ValueError(
            f"gateway.processors lists {len(gateway.processors)} of the {len(listens)} addresses "
            "of workers: Envoy would never call the rest; list each worker of every machine, or "
            "leave it out"
        )


def check_plaintext(
    listen: Address,
    listen_tls: ListenTLS | None,
    admin: Address,
    gateway: Gateway,
    allowed: tuple[Plaintext, ...],
) -> None:
    """Check that plain TCP stays on loopback, except where the operator allows it by name.

    Args:
        listen: Where Envoy reaches the processor.
        listen_tls: Mutual TLS on `listen`, if any.
        admin: The address of the admin listener.
        gateway: Envoy's admin listener, and the addresses of the key servers.
        allowed: The keys that `allow_plaintext` names.
    """
    if listen_tls is not None and listen.path is not None:
        raise ValueError(
            "listen_tls: listen is a unix socket; listen_mode determines who may open it"
        )
    plain: list[tuple[Plaintext, Address | None, str]] = [
        ("listen", None if listen_tls else listen, "set listen_tls, use a unix socket"),
        ("admin", admin, "use a loopback address"),
        ("gateway.admin", gateway.admin, "use a loopback address"),
        *[("gateway.keys", address, "leave it out") for address in gateway.keys],
    ]
    for key, address, remedy in plain:
        if address is None or address.path is not None or is_loopback(address.host):
            continue
        if key not in allowed:
            raise ValueError(
                f"{key}: {address} is not on loopback, and callers there are not authenticated; "
                f"{remedy}, or set allow_plaintext: [{key}] where only your own machines reach it"
            )


def check_application(
    name: str, application: ApplicationSettings, url: str, providers: Mapping[str, ProviderSettings]
) -> None:
    """Check one application's provider, its name, and that its URL is on one of its hosts.

    Args:
        name: The key of the application in `applications`.
        application: Its settings.
        url: Its public address.
        providers: All providers, by name.
    """
    if application.provider is not None and application.provider not in providers:
        known = ", ".join(providers) or "none"
        raise ValueError(
            f"applications.{name}.provider: there is no provider {application.provider!r}; "
            f"there are: {known}"
        )
    _check_allow(name, application, providers)
    if "extproc-" in name:
        raise ValueError(
            f"applications.{name}: a name with extproc- in it looks like one of the processor's "
            "cookies; choose another"
        )
    if application.exclude:
        return
    host = bracketed(urlsplit(url).hostname or "")
    if "*" not in application.hosts and host not in application.hosts:
        raise ValueError(
            f"applications.{name}: its url {url} is on {host}, which is not among its hosts; "
            "set url or add the host"
        )


def _check_allow(
    name: str, application: ApplicationSettings, providers: Mapping[str, ProviderSettings]
) -> None:
    """Check that what the entries of `allow` name exists, and that a login can satisfy it.

    Args:
        name: The key of the application in `applications`.
        application: Its settings.
        providers: All providers, by name.
    """
    of_rules = ((f"rules.{rule.name}.allow", rule.allow) for rule in application.rules)
    for key, allow in (("allow", application.allow), *of_rules):
        for entry in entries_of(allow):
            for provider in entry.providers or ():
                if provider not in providers:
                    raise ValueError(
                        f"applications.{name}.{key}.providers: there is no provider {provider!r}; "
                        f"there are: {', '.join(providers)}"
                    )
            asked, wanted = application.acr_values, entry.acr_values or ()
            if asked and wanted and not set(asked) & set(wanted):
                raise ValueError(
                    f"applications.{name}.{key}.acr_values: no login has one of them and one of "
                    "the application's own acr_values; leave out one of the two, or list a value "
                    "in both"
                )


def check_client_certificates(
    applications: Mapping[str, ApplicationSettings], gateway: Gateway
) -> None:
    """Check that Envoy asks for certificates where a rule looks at them."""
    if gateway.client_ca_file is not None:
        return
    for name, application in applications.items():
        for rule in application.rules:
            if rule.client_certificate is not None:
                raise ValueError(
                    f"applications.{name}.rules.{rule.name}.client_certificate: Envoy asks no "
                    "client for a certificate; set gateway.tls, with client_ca_file"
                )


def check_workers_share_revocations(worker_count: int, store: StoreSettings) -> None:
    """Check that several workers learn of each other's revocations."""
    if worker_count > 1 and not shares_tombstones(store):
        raise ValueError(
            "workers: with store.kind cookie, several workers need store.tombstones; otherwise "
            "each would know only the used logins and ended sessions that it saw itself"
        )


def check_session_count(session: SessionSettings, store: StoreSettings) -> None:
    """Check that sessions can be counted where their number is limited."""
    chosen = "per_user" in session.model_fields_set and session.per_user is not None
    if chosen and isinstance(store, CookieSettings):
        raise ValueError(
            "session.per_user: with store.kind cookie sessions cannot be counted; leave it out, "
            "or choose store.kind sqlite or redis"
        )


def check_header_size(gateway: Gateway, store: StoreSettings) -> None:
    """Check that Envoy accepts headers as large as sessions in cookies can make them."""
    if isinstance(store, CookieSettings) and gateway.max_request_headers_kb < COOKIE_HEADERS_KB:
        raise ValueError(
            f"gateway.max_request_headers_kb: with store.kind cookie {COOKIE_HEADERS_KB} or more "
            "are needed: a browser may send two generations of a session, and would be answered "
            "431 until its cookies expire"
        )


def check_backchannel_logout(
    applications: Mapping[str, ApplicationSettings],
    providers: Mapping[str, ProviderSettings],
    store: StoreSettings,
) -> None:
    """Check that sessions can be ended where a provider in use may end them."""
    used = dict.fromkeys(application.provider for application in applications.values())
    for name in used:
        if name is None or not providers[name].backchannel_logout or shares_tombstones(store):
            continue
        raise ValueError(
            f"providers.{name}.backchannel_logout: sessions are in cookies, so a provider can end "
            "them only where a store remembers it: set store.tombstones, or "
            "backchannel_logout: false"
        )


def check_overlaps(applications: Mapping[str, ApplicationSettings]) -> None:
    """Check that no two applications have the same host and path prefix."""
    taken: dict[tuple[str, str], str] = {}
    for name, application in applications.items():
        for host in application.hosts:
            other = taken.setdefault((host, application.path_prefix), name)
            if other != name:
                raise ValueError(
                    f"applications.{name}: {other} has the host {host} with path_prefix "
                    f"{application.path_prefix} already"
                )


def check_endpoints(applications: Mapping[str, ApplicationSettings]) -> None:
    """Check that no application lies below the endpoints of another one.

    Otherwise the authorization codes of the one would reach the other.
    """
    for name, application in applications.items():
        for other, owner in applications.items():
            shared = set(application.hosts) & set(owner.hosts)
            shares_host = bool(shared) or "*" in application.hosts + owner.hosts
            below = application.path_prefix.startswith(owner.path_prefix + ENDPOINTS)
            if not owner.exclude and shares_host and below:
                raise ValueError(
                    f"applications.{name}: path_prefix {application.path_prefix} lies among the "
                    f"endpoints of {other}"
                )
