"""The HTTP filters in their order. Their names are the keys of per-route configuration.

0. Before any filter, and before the route is chosen: client_address (client_address.py), by which
   Envoy understands addresses with a port, and clean (header_mutation.py): no identity header comes
   from a client. The first filter, where an application has it, is cors (cors.py): answers
   preflights, and lets listed origins read what any later filter answers.
1. cookies (lua_cookies.py): moves the processor's cookies into a header of their own; the others
   stay as they are, byte for byte.
2. networks (networks.py), where a rule names networks: refuses other clients on its routes. Then
   certificate and subject (client_certificate.py), where a rule names client certificates.
3. assertion (jwt_authn.py): turns a valid assertion into identity headers, without the processor.
4. limit (local_ratelimit.py): how often one address may make requests that 5 has to decide.
5. decide (ext_proc.py): the processor, skipped (matcher.py) if 3 verified an assertion.
6. gate (rbac.py): passes a verified assertion or the processor's decision, and nothing else. A
   stream that ended without an answer, a filter that an operator loosened and a missing matcher
   all end here.
7. trailers (header_mutation.py), where an application gets HTTP/2: drops the trailers of requests.
"""

import betterproto2
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter

from extproc.envoyconfig.builders import pack
from extproc.envoyconfig.filters.client_certificate import (
    asks_certificates,
    asks_subjects,
    certificates,
)
from extproc.envoyconfig.filters.cors import cors, cross_origin
from extproc.envoyconfig.filters.ext_proc import processor
from extproc.envoyconfig.filters.header_mutation import drops_trailers, trailers
from extproc.envoyconfig.filters.jwt_authn import assertion, fast_path
from extproc.envoyconfig.filters.local_ratelimit import limit, limited
from extproc.envoyconfig.filters.lua_cookies import cookies
from extproc.envoyconfig.filters.matcher import unless_signed_in
from extproc.envoyconfig.filters.networks import asks_networks, networks
from extproc.envoyconfig.filters.rbac import gate
from extproc.settings import Settings

CORS = "cors"
COOKIES = "cookies"
NETWORKS = "networks"
CERTIFICATE = "certificate"
SUBJECT = "subject"
ASSERTION = "assertion"
LIMIT = "limit"
DECIDE = "decide"
GATE = "gate"
TRAILERS = "trailers"
ROUTER = "router"


def filters(settings: Settings) -> list[HttpFilter]:
    """The filters that the settings need, in order."""
    chain: list[tuple[str, betterproto2.Message]] = []
    if cross_origin(settings):
        chain.append((CORS, cors()))
    chain.append((COOKIES, cookies(settings)))
    if asks_networks(settings):
        chain.append((NETWORKS, networks()))
    if asks_certificates(settings):
        chain.append((CERTIFICATE, certificates()))
    if asks_subjects(settings):
        chain.append((SUBJECT, certificates()))
    if fast_path(settings):
        chain.append((ASSERTION, assertion(settings)))
    if limited(settings):
        chain.append((LIMIT, limit(settings)))
    decide = processor(settings)
    if fast_path(settings):
        chain.append((DECIDE, unless_signed_in(decide)))
    else:
        chain.append((DECIDE, decide))
    chain.append((GATE, gate(settings)))
    if drops_trailers(settings):
        chain.append((TRAILERS, trailers()))
    chain.append((ROUTER, Router(suppress_envoy_headers=True)))
    return [HttpFilter(name=name, typed_config=pack(message)) for name, message in chain]
