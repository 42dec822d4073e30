"""The pool: many servers that behave like one.

`Fleet` (fleet.py) is a process's view of all servers; `Pool` (pool.py) is the `Backend` of one
model. Plans (plan.py) come from the settings and the run file and are read again when those change.
"""

from llmasos.pool.fleet import Fleet, at, connect
from llmasos.pool.pool import Pool

__all__ = ["Fleet", "Pool", "at", "connect"]
