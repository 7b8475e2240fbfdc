"""Where the endpoints of a provider's metadata may be."""

import pytest

from extproc.addresses import Address
from extproc.core.oidc.endpoint_places import EndpointPlaces

PUBLIC = EndpointPlaces("https://idp.example/realms/a")
LOCAL = EndpointPlaces("http://127.0.0.1:8080")
INNER = EndpointPlaces("https://idp.example", "http://keycloak:8080/realms/a")
ASIDE = EndpointPlaces("https://idp.example", "http://127.0.0.1:8080")
OWN = EndpointPlaces(
    "http://127.0.0.1:8080",
    listeners=(
        Address("127.0.0.1", 9490),
        Address("0.0.0.0", 9901),
        Address("192.0.2.1", 443),
        Address(path="/run/extproc.sock"),
    ),
)
LOOPBACK = "is on loopback, and neither issuer nor backchannel_url is"
CLOUD = "has an address at which machines find the credentials of their cloud"
PLAIN = "is neither https nor http on loopback (or below backchannel_url)"
LISTENER = "leads to a listener of the processor, or to Envoy's admin"


@pytest.mark.attack("KEYS-03")
@pytest.mark.parametrize(
    ("places", "url", "called", "browsed"),
    [
        (PUBLIC, "https://idp.example/token", None, None),
        (PUBLIC, "https://elsewhere.example/token", None, None),
        (PUBLIC, "http://idp.example/token", PLAIN, PLAIN),
        *(
            (PUBLIC, f"{scheme}://{host}:9901/quitquitquit", LOOPBACK, LOOPBACK)
            for scheme in ("http", "https")
            for host in (
                "127.0.0.1",
                "127.9.9.9",
                "localhost",
                "LOCALHOST",
                "localhost.",
                "x.localhost",
                "[::1]",
                "[::ffff:127.0.0.1]",
                "0.0.0.0",
                "[::]",
                "[::ffff:0.0.0.0]",
            )
        ),
        (LOCAL, "http://127.0.0.1:8080/token", None, None),
        (LOCAL, "http://localhost:8081/token", None, None),
        (LOCAL, "http://idp.example/token", PLAIN, PLAIN),
        (INNER, "http://keycloak:8080/token", None, PLAIN),
        (INNER, "http://keycloak:8081/token", PLAIN, PLAIN),
        (INNER, "http://127.0.0.1:8080/token", LOOPBACK, LOOPBACK),
        (ASIDE, "http://127.0.0.1:8080/token", None, LOOPBACK),
        *(
            (PUBLIC, f"https://{host}/latest/meta-data", CLOUD, CLOUD)
            for host in (
                "169.254.169.254",
                "[::ffff:169.254.169.254]",
                "[fe80::1]",
                "[fd00:ec2::254]",
                "metadata.google.internal",
                "Metadata.Google.Internal.",
                "100.100.100.200",
                "224.0.0.1",
            )
        ),
        (EndpointPlaces("https://169.254.1.1"), "https://169.254.1.1/token", None, None),
        (OWN, "http://127.0.0.1:9490/traces.json", LISTENER, LISTENER),
        (OWN, "https://localhost:9490/", LISTENER, LISTENER),
        (OWN, "http://[::1]:9901/quitquitquit", LISTENER, LISTENER),
        (OWN, "https://192.0.2.1/", LISTENER, LISTENER),
        (OWN, "http://127.0.0.1:9491/", None, None),
    ],
)
def test_where_an_endpoint_may_be(places, url, called, browsed):
    assert places.fault(url, browser=False) == called
    assert places.fault(url, browser=True) == browsed


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("idp.example", True),
        ("keycloak", True),
        ("login.example", True),
        ("LOGIN.example.", True),
        ("evil.example", False),
        ("x.login.example", False),
    ],
)
def test_the_hosts_of_endpoints_can_be_listed(host, allowed):
    places = EndpointPlaces("https://idp.example", "https://keycloak", hosts=("login.example",))
    fault = places.fault(f"https://{host}/token", browser=False)
    assert fault == (None if allowed else "is on a host that endpoint_hosts does not name")
