"""The recorder of the contract suite: the one that ships for plugin authors."""

from engine.contract.testing import Recorder

__all__ = ["Recorder"]
