"""Error texts sorted into classes by ordered patterns, measurements into levels by thresholds."""

from actions.classify.levels import ClassifyLevels
from actions.classify.patterns import PatternsKind
from actions.classify.text import ClassifyText

DECLARATIONS = (PatternsKind, ClassifyText, ClassifyLevels)

__all__ = ["DECLARATIONS", "ClassifyLevels", "ClassifyText", "PatternsKind"]
