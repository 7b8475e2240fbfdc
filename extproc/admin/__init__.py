"""The admin listener: probes, metrics, sessions and traces over HTTP, and the sessions of other
people's browsers.
"""
