"""Makes Envoy's configuration from the settings, in the typed messages of envoy-data-plane.

Nothing here talks to a running Envoy. `bootstrap` is the whole; `snapshot` and `tree` read a
configuration back.
"""

from extproc.envoyconfig.binary import find_envoy, validate
from extproc.envoyconfig.bootstrap import bootstrap, to_yaml

__all__ = ["bootstrap", "find_envoy", "to_yaml", "validate"]
