"""The published protocols of this house, as splits and checks. An origin is the row of the first hour (minute, day) to forecast."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np

from protocols import Check, Figure, Protocol, Rows, Setup
from protocols.readings import ZONE, carried_forward, days, hours, interpolated, minutes, whole_windows
from wattcast.forecasting.backtest import first_test_row, origins_within
from wattcast.forecasting.spec import FeatureSpec
from wattcast.meter.clock import zone_of
from wattcast.meter.table import MeterTable

_DAY, _WEEK, _YEAR = 24, 168, 52 * 168


def row_of(table: MeterTable, year: int, month: int = 1, day: int = 1) -> int:
    """The row that begins at this local midnight."""
    instant = datetime(year, month, day, tzinfo=zone_of(ZONE)).timestamp()
    return (int(instant) - table.start_s) // table.step_s


def _every(first: int, stop: int, rows: int) -> Rows:
    return np.arange(first, stop, rows, dtype=np.int64)


def _with_power(table: MeterTable, power: np.ndarray) -> MeterTable:
    return replace(table, power_kw=np.asarray(power, dtype=np.float32))


def next_minute(data: Path) -> Setup:
    """The last 20 % of the half year, minute by minute."""
    table = minutes(data)
    first = first_test_row(table, 0.8)
    origins = origins_within(table, FeatureSpec(60, 1, ZONE), first, len(table))
    return Setup(table, table, table, first, origins, np.array([first]))


def day_ahead(data: Path) -> Setup:
    """P2: gaps of up to 2 h interpolated, then up to 22 h carried forward; 168 h in, 24 h out, no window across a longer gap."""
    table = hours(data)
    filled = _with_power(table, carried_forward(interpolated(table.power_kw, 2), 22))
    first = row_of(table, 2010, 4, 10)
    origins = whole_windows(np.isfinite(filled.power_kw), _WEEK, _DAY)
    return Setup(table, filled, filled, first, origins[origins > first], _every(first, len(table), 8 * _WEEK))


def hour_ahead(data: Path) -> Setup:
    """P3a as published: the last 15 % of the hours, gaps interpolated inside each split, windows of 24 h within it.

    Inputs are interpolated too, as the publication's are: a forecast from inside a gap knows where the gap ends, and targets there lie
    on a line. It is the only protocol whose features look past an origin; the causal one beside it does not.
    """
    table = hours(data)
    cuts = [0, int(0.7 * len(table)), int(0.85 * len(table)), len(table)]
    even = _with_power(table, np.concatenate([interpolated(table.power_kw[a:b], len(table)) for a, b in pairwise(cuts)]))
    origins = _every(cuts[2] + _DAY, len(table), 1)
    return Setup(even, even, even, cuts[2], origins, np.array([cuts[2]]), check_origins=origins[1:])


def hour_ahead_causal(data: Path) -> Setup:
    """P3a on real hours alone, with no reading made from later ones; the baseline repeats the last real hour."""
    table = hours(data)
    first = int(0.85 * len(table))
    last_known = _with_power(table, carried_forward(table.power_kw, len(table)))
    return Setup(last_known, table, last_known, first, _every(first + _DAY, len(table), 1), np.array([first]))


def hour_ahead_2010(data: Path) -> Setup:
    """P3c: the hours of 2010 whose hour before was measured too."""
    table = hours(data)
    first = row_of(table, 2010)
    return Setup(table, table, table, first, _every(first, len(table), 1), np.array([first]))


def sixty_hours(data: Path) -> Setup:
    """P4: windows of 60 h in and 60 h out that lie in 2010 and have no gap."""
    table = hours(data)
    first = row_of(table, 2010)
    whole = np.isfinite(table.power_kw) & (np.arange(len(table)) >= first)
    return Setup(table, table, table, first, whole_windows(whole, 60, 60), np.array([first]))


def by_week(data: Path) -> Setup:
    """P5: 46 weeks from Sunday to Saturday after 159 of training, each revealed after its forecast."""
    table = days(data)
    first = 159 * 7
    origins = _every(first, first + 46 * 7, 7)
    return Setup(table, table, table, first, origins, _every(first, origins[-1] + 1, 4 * 7))


def by_year(data: Path) -> Setup:
    """P6: each year apart, gaps of up to 168 h filled on a line, a forecast every 24 h from 168 h; trained on the years before."""
    table = hours(data)
    starts = [row_of(table, year) for year in range(2007, 2011)]
    power, origins = table.power_kw.copy(), []
    for first, stop in zip(starts, [*starts[1:], len(table)], strict=True):
        power[first:stop] = interpolated(table.power_kw[first:stop], _WEEK)
        origins.append(_every(first + _WEEK, stop - _DAY + 1, _DAY))
    filled = _with_power(table, power)
    everything = np.concatenate(origins)
    return Setup(table, filled, filled, starts[1], everything[everything >= starts[1]], np.array(starts[1:]), check_origins=everything)


def tomorrow(data: Path) -> Setup:
    """P7: at 06:00 of each day of 2010 the hours of the next day, real hours scored."""
    table = hours(data)
    first = row_of(table, 2010)
    origins = _every(first + 6, len(table) - _DAY, _DAY)
    return Setup(table, table, table, first, origins, _every(first, len(table), 8 * _WEEK))


PROTOCOLS = (
    Protocol(
        name="P1",
        title="Next minute, half a year, last 20 %",
        settings="next_minute",
        prepare=next_minute,
        baselines=("persistence",),
        figures=(
            Figure("next_minute_mae", "MAE", 0.0725),
            Figure("next_minute_rmse", "RMSE", 0.2300),
            Figure("rf_mae", "MAE", 0.078),
            Figure("rf_rmse", "RMSE", 0.236),
        ),
        checks=(Check("persistence", "MAE", "0.0924"), Check("persistence", "RMSE", "0.3030")),
        embargo=60,
        rehearse_rows=40 * 1_440,
        beside={"the original's XGBoost": "0.1064 / 0.2781", "the original's random forest": "0.1122 / 0.2834"},
    ),
    Protocol(
        name="P1 single",
        title="Next minute from a single reading",
        settings="one_reading",
        prepare=next_minute,
        baselines=("persistence",),
        figures=(Figure("single_mae", "MAE", 0.0845), Figure("single_rmse", "RMSE", 0.271)),
        checks=(Check("persistence", "MAE", "0.0924"), Check("persistence", "RMSE", "0.3030")),
        embargo=60,
        rehearse_rows=40 * 1_440,
    ),
    Protocol(
        name="P2",
        title="Day ahead, hourly, every origin from 2010-04-10",
        settings="day_ahead",
        prepare=day_ahead,
        baselines=("mean_7_days", "daily_naive"),
        figures=(Figure("p2_mae", "MAE", 0.384), Figure("p2_rmse", "RMSE", 0.559)),
        checks=(
            Check("mean_7_days", "MAE", "0.4319"),
            Check("mean_7_days", "RMSE", "0.6013"),
            Check("daily_naive", "MAE", "0.5101"),
            Check("daily_naive", "RMSE", "0.7579"),
        ),
        embargo=24,
        rehearse_rows=_YEAR,
        beside={"XGBoost of the publication, 4,589 origins": "0.4190 / 0.5775", "PatchTST, the same": "0.4894 / 0.6560"},
    ),
    Protocol(
        name="P3a",
        title="One hour ahead, last 15 %, as published",
        settings="hour_ahead",
        prepare=hour_ahead,
        baselines=("persistence",),
        figures=(Figure("p3a_mae", "MAE", 0.283), Figure("p3a_rmse", "RMSE", 0.433)),
        checks=(Check("persistence", "MAE", "0.3724", "pub"), Check("persistence", "RMSE", "0.5745", "pub")),
        embargo=1,
        rehearse_rows=_YEAR,
        beside={"Transformer of the publication": "0.3062 / 0.4494"},
    ),
    Protocol(
        name="P3a causal",
        title="One hour ahead, last 15 %, real hours alone",
        settings="hour_ahead",
        prepare=hour_ahead_causal,
        baselines=("persistence",),
        figures=(Figure("p3a_causal_mae", "MAE", 0.289), Figure("p3a_causal_rmse", "RMSE", 0.440)),
        checks=(),
        embargo=1,
        rehearse_rows=_YEAR,
    ),
    Protocol(
        name="P3c",
        title="One hour ahead, 2010, with channels",
        settings="hour_ahead",
        prepare=hour_ahead_2010,
        baselines=("persistence",),
        figures=(Figure("p3c_mse", "MSE", 0.211),),
        checks=(Check("persistence", "MAE", "0.410"), Check("persistence", "RMSE", "0.621")),
        embargo=1,
        rehearse_rows=_YEAR,
        beside={"EECP-CBL, as published": "MSE 0.298"},
    ),
    Protocol(
        name="P3c own",
        title="One hour ahead, 2010, from the load alone",
        settings="hour_ahead_own",
        prepare=hour_ahead_2010,
        baselines=("persistence",),
        figures=(Figure("p3c_mse_own", "MSE", 0.237),),
        checks=(),
        embargo=1,
        rehearse_rows=_YEAR,
    ),
    Protocol(
        name="P4 own",
        title="60 hours ahead from 60 hours of load, 2010",
        settings="sixty_own",
        prepare=sixty_hours,
        baselines=("persistence",),
        figures=(Figure("p4_mse_own", "MSE", 0.363),),
        checks=(Check("persistence", "MSE", "1.07"),),
        embargo=60,
        rehearse_rows=_YEAR,
        beside={"Marino 2016, as quoted": "MSE 0.3906", "Kim & Cho 2019, cross-validated over shuffled years": "MSE 0.3549"},
    ),
    Protocol(
        name="P4",
        title="60 hours ahead from everything known, 2010",
        settings="sixty_all",
        prepare=sixty_hours,
        baselines=("persistence",),
        figures=(Figure("p4_mse_all", "MSE", 0.357),),
        checks=(),
        embargo=60,
        rehearse_rows=_YEAR,
    ),
    Protocol(
        name="P5",
        title="Week ahead, daily, 46 weeks",
        settings="week_ahead",
        prepare=by_week,
        baselines=("persistence", "weekly_naive", "yearly_naive"),
        figures=(Figure("p5_rmse", "RMSE kW-minutes", 342.0),),
        checks=(
            Check("persistence", "RMSE kW-minutes", "511.886"),
            Check("weekly_naive", "RMSE kW-minutes", "469.389"),
            Check("yearly_naive", "RMSE kW-minutes", "465.294"),
        ),
        embargo=0,
        rehearse_rows=52 * 7,
        block="week",
        beside={"ARIMA": "381.6", "CNN": "385.7", "best LSTM": "370.0"},
    ),
    Protocol(
        name="P6",
        title="BuildingsBench Sceaux, 2008 to 2010, trained on the years before",
        settings="by_year",
        prepare=by_year,
        baselines=("mean_7_days", "weekly_naive", "daily_naive", "usual_day"),
        figures=(Figure("p6_nrmse", "NRMSE %", 59.5), Figure("p6_untrained_nrmse", "NRMSE %", 64.0)),
        checks=(
            Check("mean_7_days", "NRMSE %", "67.27"),
            Check("weekly_naive", "NRMSE %", "85.42"),
            Check("daily_naive", "NRMSE %", "86.79"),
        ),
        embargo=24,
        beside={"the printed figures of the baselines": "of all four years, 2007 among them; the table is of the years that are forecast"},
        rehearse_rows=_YEAR // 2,
    ),
    Protocol(
        name="P6 week",
        title="The same from 168 hours of load alone",
        settings="by_year_week",
        prepare=by_year,
        baselines=("mean_7_days",),
        figures=(Figure("p6_week_nrmse", "NRMSE %", 59.5),),
        checks=(),
        embargo=24,
        rehearse_rows=_YEAR // 2,
    ),
    Protocol(
        name="P7",
        title="Tomorrow's hours at 06:00, quantiles, 2010",
        settings="tomorrow",
        prepare=tomorrow,
        baselines=("quantiles_28_days",),
        figures=(Figure("p7_pinball", "pinball", 0.1255), Figure("p7_nmae", "NMAE", 0.134)),
        checks=(Check("quantiles_28_days", "pinball", "0.1385"), Check("quantiles_28_days", "NMAE", "0.146")),
        embargo=24,
        rehearse_rows=_YEAR,
        levels=(0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95),
        calibrated=True,
    ),
)
