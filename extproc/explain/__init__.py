"""Explains what became of a request, or what would become of one. Nothing is sent or changed.

request    what would become of a request: the route, the session, and what decide() returns
sample     a request as the operator describes it
route      the route that Envoy chooses, by the generated configuration
assertion  whether Envoy accepts the request's identity assertion
access     the rule that decides, and which of its conditions hold
session    the session of a request, read from its cookie and the store
outcome    what a request of a user made of claims comes to
agreement  whether Envoy's routes and the rules of the core agree about it
cases      the file of `extproc test`
table      its results
words      a decision, and a kind of request, in words
access_log what Envoy's access log says about a request, by its request id
trace      a trace and the login that it belongs to, from the processor's admin or from Jaeger
"""
