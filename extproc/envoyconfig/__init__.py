"""Settings to Envoy configuration, in envoy-data-plane's typed messages. Nothing here talks to a
running Envoy.
"""

from extproc.envoyconfig.binary import find_envoy, validate
from extproc.envoyconfig.bootstrap import bootstrap, to_yaml

__all__ = ["bootstrap", "find_envoy", "to_yaml", "validate"]
