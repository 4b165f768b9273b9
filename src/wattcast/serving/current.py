"""The service that answers now, and the step to the next: what was published is loaded beside it, then one reference is swapped."""

from __future__ import annotations

import threading

from wattcast.errors import Unavailable, WattcastError
from wattcast.ports import Latest, ModelStore
from wattcast.serving.service import ForecastService

# What could not be loaded is tried again after so long, though nothing else was published.
_AGAIN_S = 30.0


class Current:
    """`service` answers; whoever took it keeps it for as long as an answer takes. fault: why what was published does not serve."""

    def __init__(self, store: ModelStore, readings: Latest) -> None:
        self._store = store
        self._readings = readings
        self._one = threading.Lock()
        self._version: str | None = ""
        self._tried_s = 0.0
        self.fault = ""
        self.service = ForecastService(store, readings)

    def start(self) -> None:
        """Load what is published now. Raises WattcastError where the serving manifest cannot be read, or is not to be trusted."""
        self._version = self._store.version()
        self.service.load()
        slots = self.service.manifest.slots
        refused = {key: self.service.refused[slot.champion] for key, slot in slots.items() if slot.champion in self.service.refused}
        self.fault = "; ".join(f"{key}: {why}" for key, why in refused.items())

    def refresh(self, now_s: float, *, at_once: bool = False) -> bool:
        """Take what was published since, where there is something; whether another service answers now. now_s: of any clock.

        A champion that is refused does not take over: for its meter and task goes on who answered, and `fault` says why. Where the
        manifest cannot be read or is not to be trusted, all goes on as it is. at_once: whatever was tried a moment ago.
        """
        with self._one:
            try:
                version = self._store.version()
                again = self.fault and (at_once or now_s - self._tried_s > _AGAIN_S)
                if version == self._version and not again:
                    return False
                self._version, self._tried_s = version, now_s
                beside = ForecastService(self._store, self._readings)
                beside.load(self.service)
            except WattcastError as cause:
                self.fault = cause.message
                # What did not answer may do so at the next look.
                self._version = None if isinstance(cause, Unavailable) else self._version
                return False
            if beside.unread:
                self._version = None
            self.fault = "; ".join(f"{key}: {why}" for key, why in beside.held_back.items())
            changed = beside.version != self.service.version
            self.service = beside
            return changed
