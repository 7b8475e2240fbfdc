"""Explains what became of a request, or what would become of one. Nothing is sent or changed.

request    what would become of a request: the route, the session, and what decide() returns
route      the route that Envoy chooses, by the generated configuration
assertion  whether Envoy accepts the request's identity assertion
session    the session of a request, read from its cookie and the store
words      a decision, and a kind of request, in words
access_log what Envoy's access log says about a request, by its request id
trace      a trace and the login that it belongs to, from the processor's admin or from Jaeger
"""
