"""HTTP to one OpenID Provider, on trio: bounded, cached, measured."""
