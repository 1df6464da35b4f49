"""The world of the contract suite: the one that ships for plugin authors."""

from engine.contract.testing import Connections, OneWorld

__all__ = ["Connections", "OneWorld"]
