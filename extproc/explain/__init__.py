"""What `extproc explain` tells, without a change anywhere.

request   what would become of a request, by the settings: the route that Envoy chooses, the
session, what decide() says
routing   the route, by the generated configuration
looking   the session, by its cookie and a look into the store
stories   a trace with the login that it is a step of, from the processor's admin or from Jaeger
"""
