"""What plugin authors test with: cases, a world, a recorder, and the checks of the contract.

    from engine.contract.testing import ChangeCase, Connections, check

    def test_contract():
        check(lambda: ChangeCase(action=MyChange(), connections=…, params=…, state=…, writes=…))

The checks of Stanch's own actions are these. Each raises `ContractBroken`, which says what does not hold.
"""

from engine.contract.testing.cases import Case, ChangeCase, Fault, NotifyCase, ReadCase
from engine.contract.testing.checks import ContractBroken, check, check_declaration
from engine.contract.testing.recorder import Recorder
from engine.contract.testing.worlds import Connections, OneWorld

__all__ = [
    "Case",
    "ChangeCase",
    "Connections",
    "ContractBroken",
    "Fault",
    "NotifyCase",
    "OneWorld",
    "ReadCase",
    "Recorder",
    "check",
    "check_declaration",
]
