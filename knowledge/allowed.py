"""Which rows of an index a search may find, in the forms that it is asked in."""

from functools import cached_property

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
"""For each row, whether it is allowed."""


class Allowed:
    """A set of rows; made once for many searches."""

    def __init__(self, mask: Mask) -> None:
        self.mask = mask

    @cached_property
    def count(self) -> int:
        """How many there are."""
        return int(np.count_nonzero(self.mask))

    @cached_property
    def rows(self) -> npt.NDArray[np.int64]:
        """Their numbers, ascending."""
        return np.flatnonzero(self.mask)

    @cached_property
    def bits(self) -> npt.NDArray[np.uint8]:
        """A bit for each row, the lowest first."""
        return np.packbits(self.mask, bitorder="little")
