"""Single readings by the thousand: one vectorised prediction in place of as many single ones, with the very same outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from wattcast.forecasting.features import features_of_each
from wattcast.forecasting.forecast import Forecast, Steps
from wattcast.forecasting.lower_tiers import least_kw
from wattcast.meter.clock import Instants
from wattcast.meter.table import Meter, MeterTable, Values
from wattcast.serving.service import IMPLAUSIBLE_MULTIPLE, Ask, ForecastService, plausible


@dataclass(frozen=True, eq=False)
class Each:
    """The forecast from each of many readings. values: mean and quantiles in kW, shape (readings, 1 + levels).

    answered: where these are forecasts; of the others a lower tier has to be asked. first: the forecast of the first, which the others
    are like but for their moment and values.
    """

    first: Forecast
    origins_s: Instants
    values: npt.NDArray[np.float64]
    answered: npt.NDArray[np.bool_]

    def forecast(self, number: int, now_s: int) -> Forecast:
        """The forecast from one of the readings."""
        origin_s = int(self.origins_s[number])
        steps = Steps(self.origins_s[number : number + 1], self.first.steps.levels, self.values[number : number + 1])
        return replace(self.first, origin_s=origin_s, steps=steps, data_age_s=max(now_s - origin_s, 0))


def from_each(service: ForecastService, ask: Ask, meter: Meter, starts_s: Instants, columns: Mapping[str, Values]) -> Each | None:
    """The forecast of `ask` from each single reading, as if it had been asked with that alone; None where they cannot be told together.

    starts_s: of the readings, at the task's step, UTC epoch seconds; columns: `power_kw` and covariates, of which nothing has to be
    doubted, NaN where one was not measured. Raises what `service.forecast` does.
    """
    table = MeterTable(meter, int(starts_s[0]), service.step_of(ask.task), *_first(columns))
    first = service.forecast(replace(ask, readings=table))
    slot = service.slot_for(replace(ask, readings=table))
    if slot.share and not ask.family:
        # Some of the readings may be of the challenger's days.
        return None
    meter = service.manifest.meters.get(slot.meter, meter)
    found = next(iter(service.able(slot, ask.family, table, 1, [])), None)
    if found is None or found[1].id != first.version or not found[2].facts.spec.glances:
        return None
    _, loaded, model = found
    origins_s = starts_s + slot.step_s
    values = model.values(features_of_each(columns, origins_s, model.facts.spec)).astype(np.float64)
    limit = IMPLAUSIBLE_MULTIPLE * loaded.manifest.largest_kw
    least = least_kw(meter, -limit)
    return Each(first, origins_s, np.maximum(values, least), plausible(values, least, limit))


def _first(columns: Mapping[str, Values]) -> tuple[Values, Mapping[str, Values]]:
    one = {name: values[:1] for name, values in columns.items()}
    return one.pop("power_kw"), one
