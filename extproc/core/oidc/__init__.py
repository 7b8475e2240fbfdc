"""OpenID Connect and OAuth 2.0 alone, as any relying party could import them: nothing here knows
the processor's sessions, applications and decisions.
"""
