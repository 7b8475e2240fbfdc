"""New settings in place of those that run: what differs, what can be taken at once, and how a new
key is introduced.

All of it for settings that have their secrets in them, see with_secrets().
"""

from extproc.settings.root import Settings


def with_secrets_of(old: Settings, new: Settings) -> Settings:
    """The old settings, but for the key ring and the client secrets, which a running processor
    takes in place.
    """
    providers = {
        name: provider.model_copy(update={"client_secret": new.providers[name].client_secret})
        if name in new.providers and provider.client_secret and new.providers[name].client_secret
        else provider
        for name, provider in old.providers.items()
    }
    return old.model_copy(
        update={"secret": new.ring(), "secret_file": None, "providers": providers}
    )


def differences(old: Settings, new: Settings) -> tuple[str, ...]:
    """The keys of the file, its first level, that differ in more than what can be taken in
    place.
    """
    taken = with_secrets_of(old, new)
    return tuple(
        name for name in Settings.model_fields if getattr(taken, name) != getattr(new, name)
    )


def introduced(old: Settings, new: Settings) -> Settings | None:
    """What comes between where another key is to be the first: all keys open and are published, the
    old first one goes on sealing.

    So that, when the new one begins, whoever has to open what it sealed knows it: every worker, and
    Envoy. None where nothing has to come between: the first key was in the ring before, or the old
    first one has no place in the new ring, so no session could go on.
    """
    before, after = old.ring(), new.ring()
    if after[0] in before or before[0] not in after:
        return None
    ring = before + tuple(secret for secret in after if secret not in before)
    return old.model_copy(update={"secret": ring, "secret_file": None})
