"""Makes Envoy's configuration from the settings, in the typed messages of envoy-data-plane.

Nothing here talks to a running Envoy. `bootstrap` is the whole; `snapshot` and `tree` read a
configuration back.
"""

from extproc.envoyconfig.binary import find_envoy, validate, validate_settings
from extproc.envoyconfig.bootstrap import bootstrap, to_yaml
from extproc.envoyconfig.secrets import secret_files, write_secret_files

__all__ = [
    "bootstrap",
    "find_envoy",
    "secret_files",
    "to_yaml",
    "validate",
    "validate_settings",
    "write_secret_files",
]
