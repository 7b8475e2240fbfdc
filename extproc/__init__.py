"""Single sign-on for Envoy as an external processor."""
