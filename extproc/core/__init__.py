"""The sans-IO core: what a relying party decides, as values.

The core does no IO, reads no clock, draws no randomness and writes no log: the caller passes in the
time and random bytes. Start reading at decide.py.
"""
