"""How hypothesis runs here: no example is timed, since the machine may be busy with other
things.
"""

from hypothesis import settings

settings.register_profile(
    "untimed", settings.get_profile(settings.get_current_profile_name()), deadline=None
)
settings.load_profile("untimed")
