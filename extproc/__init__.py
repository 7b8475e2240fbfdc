"""Single sign-on for Envoy as an external processor."""

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extproc.runtime.embedded import EmbeddedProcessor
    from extproc.settings import Settings

__all__ = ["embedded"]


def embedded(settings: "Settings") -> "AbstractAsyncContextManager[EmbeddedProcessor]":
    """Runs the processor within a trio program.

        settings = extproc.settings.load(Path("extproc.yaml"))
        async with extproc.embedded(settings) as processor:
            ...

    Entering returns when the gRPC listener and the admin listener have their addresses; whether the
    store and the providers are reached tells `processor.missing()`. Leaving the block drains: held
    requests may finish within `timeouts.drain` seconds, also when the block is cancelled.

    Signals, logging, the tracer provider and reloading settings are left to the program.

    Raises, on entering:
        SettingsError: the settings ask for several workers.
        Refusal: the store cannot be used.
        CannotListen: an address cannot be bound.
        CannotStart: a provider's ca_file cannot be used.
    """
    # gRPC, trio and the stores take a second to import: only a program that embeds needs them here.
    from extproc.runtime import embedded as implementation

    return implementation.embedded(settings)
