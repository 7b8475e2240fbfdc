"""`client_address`: takes a port out of the entry of X-Forwarded-For that names the client.

Azure's Application Gateway writes `203.0.113.7:51812` and `[2001:db8::7]:51812`, as RFC 7239
section 6 allows for the header Forwarded. Envoy reads addresses alone. Of any other entry it makes
nothing and takes the proxy for the client, so all users together would have the rate limit of one
address. This is an early header mutation, which Envoy carries out before it looks for the client,
so the limit, its exempt networks, the access log, the processor and the applications all get the
address. Other entries stay as they are.
"""

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation as Mutation
from envoy_data_plane.envoy.config.core.v3 import TypedExtensionConfig
from envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation.v3 import (
    HeaderMutation,
)

from extproc.envoyconfig.builders import IF_PRESENT, extension, header
from extproc.settings import Settings

CLIENT_ADDRESS = "client_address"
_HEADER = "x-forwarded-for"
_ENTRIES = f"request.headers['{_HEADER}']"
# The work of the whole pattern grows with the header: 7 ms of a core for 90 kB, of which a client
# can write all but the end. Of a longer header, which no proxies make, only the entries of the
# proxies are kept. They are found from the end, whatever stands before them.
_LONGEST = 1024
# \C is any byte: a client can write bytes that are no UTF-8.
_BEFORE = r"^((?:\C*,)?[ \t]*)"
_CUT = r"(?:^|,)([ \t]*)"
_NODE = r"(?:([0-9.]+\.[0-9]+):[0-9]+|\[([0-9A-Fa-f:.]+)\](?::[0-9]+)?)"
# Of the entry's tail and of the entries after it, which proxies write. Envoy allows a pattern to
# have 100 instructions, and `[^,]`, which is any character of UTF-8 but one, has many.
_AFTER = r"([ \t]*(?:,[\t -+--~]*){%d})$"


def client_address(settings: Settings) -> list[TypedExtensionConfig]:
    """The mutation, if there are proxies whose X-Forwarded-For counts.

    Envoy evaluates an expression in CEL. `re.extract` makes a new header of the pattern's parts,
    and is an error without a match. Envoy writes nothing for an error and for an empty text. A
    pattern takes about 30 µs, so an entry without a port has to look as if it had one first.
    """
    hops = settings.gateway.trusted_hops
    if not hops:
        return []
    suspect = f"{_ENTRIES}.contains(']') || {_ENTRIES}.contains('.') && {_ENTRIES}.contains(':')"
    whole, end = (_extract(head + _NODE + _AFTER % (hops - 1)) for head in (_BEFORE, _CUT))
    chosen = f"size({_ENTRIES}) > {_LONGEST} ? {end} : {whole}"
    value = f"%CEL({suspect} ? ({chosen}) : '')%"
    mutation = Mutation(append=header(_HEADER, value, IF_PRESENT))
    return [extension(CLIENT_ADDRESS, HeaderMutation(mutations=[mutation]))]


def _extract(pattern: str) -> str:
    return rf"re.extract({_ENTRIES}, r'{pattern}', r'\1\2\3\4')"
