"""The admin listener: probes, metrics, public keys, traces, and sessions for operators."""
