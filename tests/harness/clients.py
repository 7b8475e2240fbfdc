"""How long tests wait for what must happen, and what httpx has by default in their process.
Importing this module is enough.

A call that names no timeout has PATIENCE instead of httpx's 5 seconds: a busy machine makes a test
slow, and never red. A client that names no certificates has TRUST, made once: httpx reads the
system's authorities for each client, 25 ms of CPU even for http.
"""

import httpx

PATIENCE = 60.0  # seconds
# a wait that is shorter fails on a machine that has much else to do, and says nothing about the
# product
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
