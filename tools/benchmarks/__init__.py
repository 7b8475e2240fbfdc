"""tests/bench: what a request costs, beside other gateways in the same run.

Only ratios within one run mean anything.
"""
