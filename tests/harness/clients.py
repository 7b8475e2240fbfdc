"""Patience of HTTP clients and waits in tests. Importing this module sets httpx's defaults.

A call without a timeout gets PATIENCE instead of httpx's 5 seconds, because a busy machine may make
a test slow but never red. A client without certificates gets TRUST, made once, because httpx reads
the system's authorities for each client, which costs 25 ms of CPU even for http.
"""

import httpx

PATIENCE = 60.0  # seconds
# A shorter wait fails on a busy machine, and then shows nothing about the product.
LEAST = 30.0
TRUST = httpx.create_ssl_context()

_CALLS = (
    *(
        httpx.request,
        httpx.get,
        httpx.options,
        httpx.head,
        httpx.post,
        httpx.put,
        httpx.patch,
        httpx.delete,
    ),
    httpx.Client.__init__,
)

for _call in _CALLS:
    _call.__kwdefaults__.update(timeout=httpx.Timeout(PATIENCE), verify=TRUST)
