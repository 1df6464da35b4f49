"""IAM: what a principal may do, asked before it is needed."""

from actions.iam.connection import IamKind
from actions.iam.simulate import IamSimulate

DECLARATIONS = (IamKind, IamSimulate)

__all__ = ["DECLARATIONS", "IamKind", "IamSimulate"]
