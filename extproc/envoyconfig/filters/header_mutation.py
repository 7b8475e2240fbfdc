"""`clean` and `trailers`: remove what no client may send.

`clean` is an early header mutation, which Envoy carries out before it chooses the route and before
any HTTP filter. It removes identity headers in any spelling, the header of `cookies`, and headers
by which a client could tell an application what it asked for.
"""

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation as Mutation
from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutationRemoveOnMatch
from envoy_data_plane.envoy.config.core.v3 import TypedExtensionConfig
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import (
    HeaderMutation as HeaderMutationFilter,
)
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import Mutations
from envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation.v3 import (
    HeaderMutation,
)

from extproc.contract import COOKIES
from extproc.envoyconfig import regexes
from extproc.envoyconfig.builders import extension, regex
from extproc.settings import Settings


def clean(settings: Settings) -> list[TypedExtensionConfig]:
    """The mutation of every request's headers."""
    gateway = settings.gateway
    patterns = (
        regexes.forgeable(settings.identity.header_prefix, settings.own_identity_headers),
        regexes.removed(gateway.kept_headers, trusted=gateway.trusted_hops > 0),
    )
    # One pattern, so that Envoy looks at each header once.
    unwanted = HeaderMutationRemoveOnMatch(key_matcher=regex("|".join(patterns)))
    mutations = [Mutation(remove_on_match=unwanted), Mutation(remove=COOKIES)]
    return [extension("clean", HeaderMutation(mutations=mutations))]


def drops_trailers(settings: Settings) -> bool:
    """Whether Envoy has to drop the trailers of requests, because an application gets HTTP/2.

    Envoy sends no trailers over HTTP/1.1.
    """
    return any(application.upstream_http2 for application in settings.applications.values())


def trailers() -> HeaderMutationFilter:
    """The filter that drops the trailers of every request.

    No filter reads them, and an application may take an identity header among them for one of
    Envoy's. gRPC clients send none.
    """
    everything = Mutation(remove_on_match=HeaderMutationRemoveOnMatch(key_matcher=regex(".*")))
    return HeaderMutationFilter(mutations=Mutations(request_trailers_mutations=[everything]))
