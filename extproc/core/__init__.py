"""The sans-IO core: what a relying party decides, as values. No IO, no clock, no randomness, no
log; start reading at decisions.py.
"""
