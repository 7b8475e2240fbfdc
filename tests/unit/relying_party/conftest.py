"""The stores of tests/contract, for what is tested with each of them."""

from contract.conftest import opener, other, store

__all__ = ["opener", "other", "store"]
