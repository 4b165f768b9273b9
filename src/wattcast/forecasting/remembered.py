"""What follows from moments alone, remembered: many meters are forecast for the same minute, and one meter for the same day."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from wattcast.meter.clock import Instants

_MOST, _FEW = 512, 30


class Remembered:
    """Arrays by the few moments that they were made for, the latest 512; those of many moments are made each time."""

    def __init__(self) -> None:
        self._made: dict[tuple[bytes, int], npt.NDArray[np.generic]] = {}

    def get(self, moments: Instants, make: Callable[[], npt.NDArray[np.generic]], of: int = 0) -> npt.NDArray[np.generic]:
        """What `make` gives for these moments; `of` tells several things about the same moments apart. Not to be written to."""
        if len(moments) > _FEW:
            return make()
        key = (moments.tobytes(), of)
        made = self._made.get(key)
        if made is None:
            if len(self._made) >= _MOST:
                self._made = {}
            made = self._made[key] = make()
        return made
