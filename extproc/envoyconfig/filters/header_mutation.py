"""`clean`: removes headers that only Envoy and the processor may write.

It is an early header mutation, which Envoy carries out before it chooses the route and before any
HTTP filter: no identity header in any spelling, and no header of `cookies`, comes from a client.
"""

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation as Mutation
from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutationRemoveOnMatch
from envoy_data_plane.envoy.config.core.v3 import TypedExtensionConfig
from envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation.v3 import (
    HeaderMutation,
)

from extproc.contract import COOKIES
from extproc.envoyconfig import regexes
from extproc.envoyconfig.builders import extension, regex
from extproc.settings import Settings


def clean(settings: Settings) -> list[TypedExtensionConfig]:
    """The mutation of every request's headers."""
    forgeable = HeaderMutationRemoveOnMatch(
        key_matcher=regex(regexes.forgeable(settings.identity.header_prefix))
    )
    mutations = [Mutation(remove_on_match=forgeable), Mutation(remove=COOKIES)]
    return [extension("clean", HeaderMutation(mutations=mutations))]
