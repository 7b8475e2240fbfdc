"""Headers by which a client could tell an application what it asked for, by which address, or from
where: applications and frameworks believe them, because usually a proxy writes them.

Envoy removes them from what untrusted clients send. Identity headers are another matter: nothing
lets them through.
"""

import re

# Another path, method or file than the one that was decided on, or another user: the x-forwarded-*
# names below are those by which Traefik's ForwardAuth and oauth2-proxy describe them. No proxy that
# `trusted_hops` counts has a reason to write them. `proxy` becomes the variable HTTP_PROXY of a CGI
# program (httpoxy).
COMMANDS = (
    "proxy",
    "x-forwarded-access-token",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-method",
    "x-forwarded-preferred-username",
    "x-forwarded-uri",
    "x-forwarded-user",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-method",
    "x-original-path",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-uri",
    "x-rewrite-url",
)
# Headers of nginx and Apache that choose a file; all that begin so.
COMMAND_PREFIXES = ("x-accel-", "x-sendfile")
# The client, or the address by which it came, as the first proxy saw it; beside them every
# x-forwarded-* header but those of Envoy itself.
DESCRIPTIONS = (
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "client-ip",
    "fastly-client-ip",
    "forwarded",
    "front-end-https",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded",
    "x-host",
    "x-original-for",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-proto",
    "x-original-remote-addr",
    "x-original-scheme",
    "x-proxyuser-ip",
    "x-real-ip",
    "x-remote-addr",
    "x-remote-ip",
    "x-scheme",
    "x-url-scheme",
)
FORWARDED = "x-forwarded-"
# Envoy writes them itself, by trusted_hops.
OF_ENVOY = ("for", "proto")


def check_kept(names: tuple[str, ...]) -> None:
    """Check that each name is that of a header which Envoy would remove. Raises ValueError."""
    for name in names:
        further = name.removeprefix(FORWARDED)
        forwarded = further != name and re.fullmatch(r"[a-z0-9-]{1,64}", further)
        if name not in COMMANDS + DESCRIPTIONS and (not forwarded or further in OF_ENVOY):
            raise ValueError(
                f"kept_headers: {name[:80]!r} is no header that Envoy removes from clients; those "
                "are listed in docs/topologies.md, in lower case, such as x-http-method-override"
            )
