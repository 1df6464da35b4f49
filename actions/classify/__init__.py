"""Error texts sorted into classes by ordered patterns."""

from actions.classify.patterns import PatternsKind
from actions.classify.text import ClassifyText

DECLARATIONS = (PatternsKind, ClassifyText)

__all__ = ["DECLARATIONS", "ClassifyText", "PatternsKind"]
