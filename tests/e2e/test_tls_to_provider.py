"""TLS to a provider: an unverified certificate is always refused (KEYS-13)."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trio
from harness.certificates import Authority

from extproc.core.errors import ProviderUnavailable
from extproc.provider.client import Provider
from extproc.settings import Limits, ProviderSettings, Timeouts


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        issuer = f"https://127.0.0.1:{self.server.server_address[1]}"
        ends = "".join(
            f', "{name}": "{issuer}/{name}"'
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")
        )
        body = f'{{"issuer": "{issuer}"{ends}}}'.encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Quiet(ThreadingHTTPServer):
    def handle_error(self, *_):
        pass


@pytest.fixture
def serve(tmp_path):
    """serve(*names): an https server on loopback with a certificate for these names.

    Returns its address and the authority's file.
    """
    running = []

    def start(*names, newest=None):
        authority = Authority()
        authority.issue(*names, certificate=tmp_path / "crt", key=tmp_path / "key")
        (tmp_path / "ca.pem").write_bytes(authority.pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
        server = Quiet(("127.0.0.1", 0), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        running.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"https://127.0.0.1:{server.server_address[1]}", tmp_path / "ca.pem"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def metadata(issuer, ca_file):
    async def ask():
        provider = Provider(
            "main",
            ProviderSettings(issuer=issuer, client_id="gateway", ca_file=ca_file),
            Timeouts(),
            Limits(),
        )
        try:
            return await provider.metadata()
        finally:
            await provider.aclose()

    return trio.run(ask)


def test_a_provider_with_a_certificate_of_the_ca_file_is_believed(serve):
    issuer, ca_file = serve("127.0.0.1")
    assert metadata(issuer, ca_file).issuer == issuer


@pytest.mark.attack("KEYS-13")
def test_an_unknown_authority_is_refused(serve):
    issuer, _ = serve("127.0.0.1")
    with pytest.raises(ProviderUnavailable):
        metadata(issuer, None)


@pytest.mark.attack("KEYS-13")
def test_a_certificate_for_another_name_is_refused(serve):
    issuer, ca_file = serve("idp.example", "127.0.0.2")
    with pytest.raises(ProviderUnavailable):
        metadata(issuer, ca_file)
