"""The fixtures of harness.envoy_world, for the tests of this folder."""

from harness.envoy_world import asked, envoy, plain, tls, world

__all__ = ["asked", "envoy", "plain", "tls", "world"]
