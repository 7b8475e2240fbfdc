"""How long tests wait for what must happen: so long that a busy machine makes a test slow, and never red.

httpx waits 5 seconds where a call names no timeout. Importing this module makes that PATIENCE, for every test of the process.
"""

import httpx

PATIENCE = 60.0  # seconds
LEAST = 30.0  # a wait that is shorter fails on a machine that has much else to do, and says nothing about the product

_CALLS = (
    httpx.request,
    *(httpx.get, httpx.options, httpx.head, httpx.post, httpx.put, httpx.patch, httpx.delete),
    httpx.Client.__init__,
)

for _call in _CALLS:
    _call.__kwdefaults__["timeout"] = httpx.Timeout(PATIENCE)
