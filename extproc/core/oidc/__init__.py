"""The protocol alone: what any relying party could import. No sessions, applications or decisions
of the processor.
"""
