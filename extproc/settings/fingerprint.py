"""By what Envoy and the processor notice that they were configured from different settings."""

import hashlib
import json

from extproc.settings import Settings

_LENGTH = 16  # hexadecimal digits


def fingerprint(settings: Settings, name: str) -> str:
    """What both sides have to agree on about an application, as a short text.

    Envoy's routes decide which application a request is for and what it demands; the processor
    decides about the user. With different settings a path of one application would be decided by
    the rules of another. The provider is not among it: the processor alone decides by which
    provider users sign in, and takes another one without a new configuration of Envoy.
    """
    application = settings.applications[name]
    agreed = [
        name,
        sorted(application.hosts),
        application.path_prefix,
        settings.url(name),
        sorted(application.public_paths),
        application.acr_values,
        application.max_age,
        application.prompt,
        sorted(application.authorization_params.items()),
        application.forward_access_token,
        sorted(application.end_streams),
    ]
    return hashlib.sha256(json.dumps(agreed).encode()).hexdigest()[:_LENGTH]
