"""Wire names: the names of headers and metadata that the generated Envoy configuration and the
processor agree on. Both import them from here, and share nothing else.
"""

from extproc.core.http import READ_HEADERS

# the service whose method Process Envoy calls
SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor"

# gRPC metadata of the stream. The route writes it (grpc_initial_metadata), and no client can.
APPLICATION = "x-extproc-application"
# what the configuration was generated from, of this application (settings/fingerprint.py)
FINGERPRINT = "x-extproc-fingerprint"
# the rule that decides the request, "" for none; and what it is a rule of (core/access.py)
RULE = "x-extproc-rule"
ACCESS = "x-extproc-access"
# the rule in shadow mode that takes the request
SHADOW = "x-extproc-shadow"
# "1" on public paths
PUBLIC = "x-extproc-public"
# "1" where the request ends with its session, so that its ext_proc stream stays open
LIVE = "x-extproc-live"

# Dynamic metadata of the answer. The gate reads `decision`, the response gets the cookies, and the
# access log gets the reason, the lane and the user.
NAMESPACE = "envoy.filters.http.ext_proc"
DECISION = "decision"
CONTINUE = "continue"
SET_COOKIE = "set_cookie"
# where sessions are in cookies: the four of one generation, and the expiry of as many of the one
# before
MORE_COOKIES = tuple(f"set_cookie_{number}" for number in range(2, 10))
CACHE_CONTROL = "cache_control"
# the same for caches that obey a header of their own
NO_STORE = "no_store"
REASON = "reason"
# the user, as log.users names them; the claim of the assertion is core.assertion.USER
USER = "user"
LANE = "lane"
# metadata of the routes, for the access log
APPLICATION_KEY = "application"

# The processor's own cookies, as the head of Envoy's filter chain hands them on. No other filter
# and no application gets them.
COOKIES = "x-extproc-cookies"

# How many milliseconds a request may take in all, a WebSocket included. Envoy's router obeys this
# header and removes it; the generated configuration drops it from what clients send.
STREAM_DURATION = "x-envoy-upstream-stream-duration-ms"

# The headers that Envoy forwards to the processor, and their names in the core. Of the cookies it
# forwards only the processor's own.
FORWARDED = {COOKIES if name == "cookie" else name: name for name in READ_HEADERS}
