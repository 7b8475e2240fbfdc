"""Settings: one YAML file, with environment variables filled in, as frozen models.

`load(path)` returns Settings or raises SettingsError, whose text has one line for each fault: the
file, the path of the key, what is wrong and what would be right; never the value of a secret.
"""

from extproc.settings.access import RuleSettings
from extproc.settings.applications import ApplicationSettings
from extproc.settings.diff import differences, introduced, with_secrets_of
from extproc.settings.gateway import TLS, Gateway
from extproc.settings.identity import Identity
from extproc.settings.limits import Limits, Timeouts
from extproc.settings.listen import ListenTLS
from extproc.settings.load import SettingsError, load
from extproc.settings.observability import Log, Tracing
from extproc.settings.providers import ProviderSettings
from extproc.settings.redis import RedisSettings
from extproc.settings.root import Settings
from extproc.settings.serialize import from_text, to_text, with_secrets
from extproc.settings.session import SessionSettings
from extproc.settings.store import CookieSettings, SQLiteSettings, StoreSettings, TombstoneSettings
from extproc.settings.watch import Source

__all__ = [
    "TLS",
    "ApplicationSettings",
    "CookieSettings",
    "Gateway",
    "Identity",
    "Limits",
    "ListenTLS",
    "Log",
    "ProviderSettings",
    "RedisSettings",
    "RuleSettings",
    "SQLiteSettings",
    "SessionSettings",
    "Settings",
    "SettingsError",
    "Source",
    "StoreSettings",
    "Timeouts",
    "TombstoneSettings",
    "Tracing",
    "differences",
    "from_text",
    "introduced",
    "load",
    "to_text",
    "with_secrets",
    "with_secrets_of",
]
