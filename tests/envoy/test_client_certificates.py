"""Client certificates: Envoy asks for one, and the rules that name certificates admit no other
client.
"""

import ipaddress
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from harness.certificates import Authority
from harness.envoy import EnvoyProcess
from harness.envoy_parts import Asked, Client, Reply
from harness.envoy_world import Gateway, World
from harness.ports import free_port
from harness.processes import wait_until

from extproc.envoyconfig import to_yaml
from extproc.settings.domain_access import access

CN, ORG = NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME
RULES: list[dict[str, object]] = [
    {"name": "dns", "paths": ["/dns/"], "client_certificate": {"sans": ["a.example"]}},
    {
        "name": "typed",
        "paths": ["/typed/"],
        "client_certificate": {
            "sans": ["spiffe://c/x", "a@example.com", "10.0.0.1", "2001:db8::1"],
        },
    },
    {
        "name": "subject",
        "paths": ["/subject/"],
        "client_certificate": {"subjects": ["CN=a,O=b", r"CN=x\,y,O=Org\, Ltd", r"CN=Zo\C3\AB"]},
    },
    {
        "name": "both",
        "paths": ["/both/"],
        "client_certificate": {"subjects": ["CN=a,O=b"], "sans": ["a.example"]},
    },
    {
        "name": "none",
        "paths": ["/none/"],
        "login": "none",
        "client_certificate": {"sans": ["a.example"]},
    },
    {
        "name": "caller",
        "paths": ["/caller/"],
        "accept": ["bearer", "session"],
        "client_certificate": {"sans": ["a.example"]},
    },
    {
        "name": "optional",
        "paths": ["/optional/"],
        "login": "optional",
        "client_certificate": {"subjects": ["CN=a,O=b"]},
    },
]


def name(*values: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in values])


AB = name((ORG, "b"), (CN, "a"))
PLAIN = name((CN, "plain"))
DNS = x509.DNSName("a.example")


@dataclass(frozen=True, slots=True)
class Clients:
    """A gateway that asks for certificates, its authority of clients, and a foreign one."""

    gateway: Gateway
    authority: Authority
    foreign: Authority
    directory: Path
    server: Authority

    def context(self, certificate: Path | None) -> ssl.SSLContext:
        context = self.server.context()
        if certificate is not None:
            context.load_cert_chain(certificate)
        return context

    def showing(self, subject: x509.Name, *sans: x509.GeneralName) -> Client:
        """A client with a certificate of the authority."""
        file = self.authority.issue_client(self.directory / "client.pem", subject, *sans)
        return replace(self.gateway.client, tls=self.context(file))

    @property
    def cookie(self) -> str:
        """Of a user who satisfies every rule."""
        made = access(self.gateway.settings, "main")
        audiences = [made.audience(str(rule["name"])) for rule in RULES if rule["name"] != "none"]
        return self.gateway.cookie("main", audiences=[*audiences, made.audience("")])

    def get(self, client: Client, path: str) -> Reply:
        return client.get(path, cookie=self.cookie)


def asking(world: World, name: str, ca: Path) -> AbstractContextManager[Gateway]:
    """A gateway that asks for certificates of an authority."""
    app = {
        "hosts": ["app.test", "other.test"],
        "upstream": world.upstream.url,
        "provider": "main",
        "rules": RULES,
        "preflight": "pass",
        "end_streams": ["websocket"],
    }
    files = {"certificate": str(world.certificate), "key": str(world.key)}
    tls = {**files, "client_ca_file": str(ca)}
    return world.gateway(name, {"main": app}, tls=True, gateway={"tls": tls})


@pytest.fixture(scope="module")
def clients(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    directory = tmp_path_factory.mktemp("clients")
    authority, foreign = Authority("clients"), Authority("foreign")
    ca = directory / "ca.pem"
    ca.write_bytes(authority.pem)
    with asking(world, "clients", ca) as gateway:
        yield Clients(gateway, authority, foreign, directory, world.authority)


@pytest.mark.threat("rules")
@pytest.mark.parametrize(
    ("path", "subject", "sans", "passes"),
    [
        ("/dns/", PLAIN, [DNS], True),
        ("/dns/", x509.Name([]), [DNS], True),
        (
            "/dns/",
            PLAIN,
            [x509.DNSName("b.example"), x509.UniformResourceIdentifier("x:y"), DNS],
            True,
        ),
        ("/dns/", PLAIN, [], False),
        ("/dns/", name((CN, "a.example")), [], False),
        ("/dns/", PLAIN, [x509.DNSName("a.example,b.example")], False),
        ("/dns/", PLAIN, [x509.DNSName("b.example,a.example")], False),
        ("/dns/", PLAIN, [x509.DNSName("*.example")], False),
        ("/dns/", PLAIN, [x509.DNSName("A.example")], False),
        ("/dns/", PLAIN, [x509.DNSName("a.example.")], False),
        ("/dns/", PLAIN, [x509.DNSName("a.example\0.evil")], False),
        ("/dns/", PLAIN, [x509.DNSName("a.example\n")], False),
        ("/dns/", PLAIN, [x509.DNSName("a-example")], False),
        ("/dns/", PLAIN, [x509.UniformResourceIdentifier("a.example")], False),
        ("/dns/", PLAIN, [x509.RFC822Name("a.example")], False),
        ("/typed/", PLAIN, [x509.UniformResourceIdentifier("spiffe://c/x")], True),
        ("/typed/", PLAIN, [x509.UniformResourceIdentifier("spiffe://c/x/y")], False),
        ("/typed/", PLAIN, [x509.UniformResourceIdentifier("spiffe://c/x,spiffe://c/y")], False),
        ("/typed/", PLAIN, [x509.DNSName("spiffe://c/x")], False),
        ("/typed/", PLAIN, [x509.RFC822Name("a@example.com")], True),
        ("/typed/", PLAIN, [x509.DNSName("a@example.com")], False),
        ("/typed/", PLAIN, [x509.IPAddress(ipaddress.ip_address("10.0.0.1"))], True),
        ("/typed/", PLAIN, [x509.IPAddress(ipaddress.ip_address("::ffff:10.0.0.1"))], False),
        ("/typed/", PLAIN, [x509.IPAddress(ipaddress.ip_address("2001:db8::1"))], True),
        ("/typed/", PLAIN, [x509.DNSName("10.0.0.1")], False),
        ("/subject/", AB, [], True),
        ("/subject/", AB, [DNS], True),
        ("/subject/", name((ORG, "Org, Ltd"), (CN, "x,y")), [], True),
        ("/subject/", name((CN, "Zoë")), [], True),
        ("/subject/", name((CN, "a,O=b")), [], False),
        ("/subject/", name((CN, "a"), (ORG, "b")), [], False),
        ("/subject/", name((ORG, "b"), (CN, "a"), (CN, "a")), [], False),
        ("/subject/", name((ORG, "b"), (CN, "A")), [], False),
        ("/subject/", name((ORG, "b"), (CN, "a\0")), [], False),
        ("/subject/", x509.Name([]), [x509.UniformResourceIdentifier("CN=a,O=b")], False),
        ("/subject/", PLAIN, [x509.DNSName("CN=a,O=b")], False),
        ("/both/", AB, [DNS], True),
        ("/both/", AB, [], False),
        ("/both/", PLAIN, [DNS], False),
    ],
)
def test_a_certificate_admits_to_the_rules_that_name_it_exactly(
    clients: Clients,
    world: World,
    asked: list[Asked],
    path: str,
    subject: x509.Name,
    sans: list[x509.GeneralName],
    passes: bool,
) -> None:
    client = clients.showing(subject, *sans)
    reply = clients.get(client, path + "x")
    assert reply.status == (200 if passes else 403)
    assert len(world.upstream.received) == passes and asked == []
    # What the rule does not name has no condition.
    assert clients.get(client, "/").status == 200


@pytest.mark.threat("rules")
@pytest.mark.parametrize(
    "path", ["/dns/", "/typed/", "/subject/", "/both/", "/none/", "/optional/", "/caller/"]
)
def test_a_client_without_a_certificate_is_refused_whatever_it_brings(
    clients: Clients, world: World, asked: list[Asked], path: str
) -> None:
    bare, upgrade = clients.gateway.client, ("connection: upgrade", "upgrade: websocket")
    forged = 'x-forwarded-client-cert: URI=spiffe://c/x;DNS=a.example;Subject="CN=a,O=b"'
    preflight = ("origin: https://app.test", "access-control-request-method: GET")
    for lines in ((), (forged,), upgrade, ("authorization: Bearer x",)):
        for cookie in ("", clients.cookie):
            reply = bare.get(path, *lines, cookie=cookie)
            assert reply.status == 403 and b"CN=" not in reply.body
    assert bare.get(path, *preflight, method="OPTIONS").status == 403
    assert world.upstream.received == [] and asked == []


def test_the_login_of_a_rule_counts_beside_its_certificate(
    clients: Clients, world: World, asked: list[Asked]
) -> None:
    client = clients.showing(AB, DNS)
    statuses = [client.get(path).status for path in ("/both/", "/optional/", "/none/")]
    assert statuses == [303, 200, 200] and len(asked) == 2
    assert [each.values("x-auth-sub") for each in world.upstream.received] == [[], []]
    assert clients.get(client, "/optional/").status == 200
    assert world.upstream.received[-1].values("x-auth-sub") == ["alice"]


@pytest.mark.attack("HDR-01")
def test_no_application_hears_of_a_certificate_by_a_client_s_header(
    clients: Clients, world: World, asked: list[Asked]
) -> None:
    client = clients.showing(AB, DNS)
    reply = client.get("/none/", 'x-forwarded-client-cert: Subject="CN=root"')
    assert reply.status == 200
    assert "x-forwarded-client-cert" not in world.upstream.received[0].names()


Issue = Callable[[Clients, Path], Path]
REFUSED: dict[str, Issue] = {
    "self-signed": lambda each, file: each.authority.issue_client(file, AB, DNS, own=True),
    "foreign": lambda each, file: each.foreign.issue_client(file, AB, DNS),
    "of the name of the authority": lambda each, file: Authority("clients").issue_client(
        file, AB, DNS
    ),
    "expired": lambda each, file: each.authority.issue_client(file, AB, DNS, hours=(-3, -1)),
    "not yet valid": lambda each, file: each.authority.issue_client(file, AB, DNS, hours=(2, 3)),
    "for servers": lambda each, file: each.authority.issue_client(
        file, AB, DNS, usages=[ExtendedKeyUsageOID.SERVER_AUTH]
    ),
}


@pytest.mark.threat("rules")
@pytest.mark.attack("KEYS-13")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("kind", REFUSED)
def test_a_certificate_that_cannot_be_verified_gets_no_answer(
    clients: Clients, world: World, asked: list[Asked], kind: str, version: ssl.TLSVersion
) -> None:
    context = clients.context(REFUSED[kind](clients, clients.directory / "bad.pem"))
    context.minimum_version = context.maximum_version = version
    status = 0
    with suppress(ssl.SSLError, OSError):
        status = Client(clients.gateway.client.port, tls=context).get("/none/").status
    assert status == 0 and world.upstream.received == [] and asked == []


@pytest.mark.threat("rules")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_every_connection_shows_its_certificate_again(
    clients: Clients, version: ssl.TLSVersion
) -> None:
    """A resumed session would outlive the certificate, and has no alternative names."""
    file = clients.authority.issue_client(clients.directory / "client.pem", AB, DNS)
    context = clients.context(file)
    context.minimum_version = context.maximum_version = version

    def connect(session: ssl.SSLSession | None) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", clients.gateway.client.port), timeout=60)
        return context.wrap_socket(plain, server_hostname="app.test", session=session)

    def answered(stream: ssl.SSLSocket) -> bool:
        stream.sendall(b"GET /both/ HTTP/1.1\r\nhost: app.test\r\n\r\n")
        return stream.recv(65536).startswith(b"HTTP/1.1 303")

    with connect(None) as first:
        # Tickets of TLS 1.3 come with the first bytes of the answer.
        assert answered(first)
        session = first.session
    with connect(session) as second:
        assert answered(second) and not second.session_reused


def test_one_connection_of_http_2_has_one_certificate_for_all_hosts(clients: Clients) -> None:
    """Browsers use a connection for other hosts of the gateway's certificate as well."""

    def statuses(certificate: Path | None) -> list[str]:
        context = clients.context(certificate)
        context.set_alpn_protocols(["h2"])
        port = clients.gateway.client.port
        with (
            socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
            context.wrap_socket(plain, server_hostname="app.test") as stream,
        ):
            connection = h2.connection.H2Connection(
                h2.config.H2Configuration(header_encoding="utf-8")
            )
            connection.initiate_connection()
            for number, host in ((1, "app.test"), (3, "other.test")):
                head = {":method": "GET", ":path": "/none/", ":scheme": "https", ":authority": host}
                connection.send_headers(number, list(head.items()), end_stream=True)
            stream.sendall(connection.data_to_send())
            found: dict[int, str] = {}
            while len(found) < 2:
                for event in connection.receive_data(stream.recv(65536)):
                    if isinstance(event, h2.events.ResponseReceived):
                        found[event.stream_id] = str(dict(event.headers)[":status"])
        return [found[1], found[3]]

    file = clients.authority.issue_client(clients.directory / "client.pem", AB, DNS)
    assert statuses(file) == ["200", "200"]
    assert statuses(None) == ["403", "403"]


def test_a_replaced_authority_decides_about_the_next_connection(
    world: World, asked: list[Asked], tmp_path: Path
) -> None:
    old, new, ca = Authority("old"), Authority("new"), tmp_path / "ca.pem"
    ca.write_bytes(old.pem)
    files = {
        key: each.issue_client(tmp_path / f"{key}.pem", AB, DNS)
        for key, each in (("old", old), ("new", new))
    }

    def status(gateway: Gateway, key: str) -> int:
        context = world.authority.context()
        context.load_cert_chain(files[key])
        with suppress(ssl.SSLError, OSError):
            return Client(gateway.client.port, tls=context).get("/none/").status
        return 0

    with asking(world, "replaced-ca", ca) as gateway:
        assert (status(gateway, "old"), status(gateway, "new")) == (200, 0)
        (tmp_path / "next.pem").write_bytes(new.pem)
        (tmp_path / "next.pem").rename(ca)
        wait_until(lambda: status(gateway, "new") == 200, 60, "the new authority")
        assert status(gateway, "old") == 0


def test_without_its_authorities_nobody_gets_an_answer(world: World, tmp_path: Path) -> None:
    with (
        asking(world, "no-ca", tmp_path / "absent.pem") as gateway,
        pytest.raises((ssl.SSLError, OSError)),
    ):
        gateway.client.get("/")


def test_a_connection_ends_after_an_hour_so_that_a_certificate_does_not_count_for_ever(
    clients: Clients, world: World, tmp_path: Path
) -> None:
    """Here after a second."""
    text = to_yaml(clients.gateway.settings)
    assert text.count("max_connection_duration: 3600s") == 1
    port = free_port()
    text = text.replace("max_connection_duration: 3600s", "max_connection_duration: 1s")
    text = text.replace(f"port_value: {clients.gateway.client.port}", f"port_value: {port}")
    file = clients.authority.issue_client(clients.directory / "client.pem", AB, DNS)
    with (
        EnvoyProcess(text, envoy=world.envoy, port=port, directory=tmp_path),
        socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
        clients.context(file).wrap_socket(plain, server_hostname="app.test") as stream,
    ):
        while True:
            stream.sendall(b"GET /none/ HTTP/1.1\r\nhost: app.test\r\n\r\n")
            answer = stream.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200")
            if b"connection: close" in answer:
                break


def test_an_operator_finds_the_refusal_in_the_access_log(clients: Clients) -> None:
    assert clients.gateway.client.get("/dns/found").status == 403

    def logged() -> bool:
        lines = (json.loads(line) for line in clients.gateway.access_log().splitlines())
        return any(
            line["path"] == "/dns/found" and line["details"].startswith("rbac_access_denied")
            for line in lines
        )

    wait_until(logged, 60, "the line of the access log")
