"""tests/bench: what a request costs, beside its peers in the same run. Only ratios within one run
mean anything.
"""
