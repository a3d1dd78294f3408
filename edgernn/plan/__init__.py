"""From a graph to calls of C kernels: what an exported project and the backend `c` both run.

`lower` turns each op into a call and its numbers, in the terms of firmware_export/c/ernn.h;
`plan` says where in memory every call reads and writes.
"""

from edgernn.plan.calls import Call, Plan, Value
from edgernn.plan.memory import plan

__all__ = ["Call", "Plan", "Value", "plan"]
