"""Comparing new settings with those in force: what differs, what can change without a restart, and
how a new key is introduced.

Both settings must contain their secrets, see `with_secrets`.
"""

from extproc.settings.providers import ProviderSettings
from extproc.settings.root import Settings


def with_secrets_of(old: Settings, new: Settings) -> Settings:
    """The old settings with the key ring and the client secrets of the new ones, which a running
    processor can change in place.

    A client secret that only one of the two has is not copied: a client that becomes public, or no
    longer is, needs a restart.
    """
    providers = {
        name: _with_secret_of(provider, new.providers[name]) if name in new.providers else provider
        for name, provider in old.providers.items()
    }
    return old.model_copy(
        update={"secret": new.ring(), "secret_file": None, "providers": providers}
    )


def _with_secret_of(old: ProviderSettings, new: ProviderSettings) -> ProviderSettings:
    """A provider's old settings with the secrets of its clients in the new ones."""
    update: dict[str, object] = {}
    if old.client_secret and new.client_secret:
        update["client_secret"] = new.client_secret
    asked, asks = old.access_tokens.introspection, new.access_tokens.introspection
    if asked is not None and asks is not None:
        asking = asked.model_copy(update={"client_secret": asks.client_secret})
        update["access_tokens"] = old.access_tokens.model_copy(update={"introspection": asking})
    return old.model_copy(update=update)


def differences(old: Settings, new: Settings) -> tuple[str, ...]:
    """The top-level keys of the settings that differ in more than can change in place."""
    reachable, wanted = dict(with_secrets_of(old, new)), dict(new)
    return tuple(name for name in Settings.model_fields if reachable[name] != wanted[name])


def introduced(old: Settings, new: Settings) -> Settings | None:
    """The intermediate settings for a key rotation: the new key can already decrypt and is
    published, but the old key still encrypts and signs.

    With them in force everywhere, every worker and Envoy know the new key before it is used first.

    Returns:
        The old settings with the keys of both rings, or None if no intermediate step is needed:
        the first key was in the ring before, or the old first key is not in the new ring, so that
        no session survives the change.
    """
    before, after = old.ring(), new.ring()
    if after[0] in before or before[0] not in after:
        return None
    ring = before + tuple(secret for secret in after if secret not in before)
    return old.model_copy(update={"secret": ring, "secret_file": None})
