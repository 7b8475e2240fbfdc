"""What the generated Envoy configuration and the processor agree on. Both sides import these names,
and nothing else is shared.
"""

from extproc.core.http import READ_HEADERS

# gRPC metadata of the stream, written by the route (grpc_initial_metadata), which no client can
# write
APPLICATION = "x-extproc-application"
PUBLIC = "x-extproc-public"  # "1" on public paths
LIVE = "x-extproc-live"  # "1" where the request ends with its session: its stream to us stays open

# dynamic metadata of the answer: the gate reads `decision`, the response gets the cookies, the
# access log the reason and the lane
NAMESPACE = "envoy.filters.http.ext_proc"
DECISION = "decision"
CONTINUE = "continue"
SET_COOKIE = "set_cookie"
# where sessions are in cookies: the four of one generation, and the expiry of as many of the one
# before
MORE_COOKIES = tuple(f"set_cookie_{number}" for number in range(2, 10))
CACHE_CONTROL = "cache_control"
REASON = "reason"
LANE = "lane"
# metadata of the routes, for the access log
APPLICATION_KEY = "application"

# our cookies, as the head of Envoy's filter chain hands them on; nobody else gets them
COOKIES = "x-extproc-cookies"

# how many milliseconds a request may take in all, a WebSocket included: Envoy's router obeys it and
# takes it off, and a client's is dropped
STREAM_DURATION = "x-envoy-upstream-stream-duration-ms"


SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor"


# what Envoy forwards, and what the core calls it: of the cookies, ours only
FORWARDED = {COOKIES if name == "cookie" else name: name for name in READ_HEADERS}
