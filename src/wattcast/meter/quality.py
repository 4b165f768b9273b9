"""Do we believe readings? A verdict with its reasons and figures; what is found is said here, and corrected only in `cleaning`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from wattcast.meter.cleaning import disbelieved
from wattcast.meter.clock import DAY_S, HOUR_S, Instants, utc_offset_s
from wattcast.meter.table import Meter, MeterTable, Values

if TYPE_CHECKING:
    from wattcast.meter.arrivals import Batch
    from wattcast.meter.readers.contract import Readings

Verdict = Literal["good", "usable", "refused"]
Figure = float | int | str

MIN_DAYS = 14.0


@dataclass(frozen=True)
class QualityReport:
    """What was found in a meter file, or in readings that arrived.

    reasons: sentences, the first one sums them up. figures: by name, the unit in the name. notes: how the file was read.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    figures: dict[str, Figure] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for json.dumps."""
        return {"verdict": self.verdict, "reasons": list(self.reasons), "figures": dict(self.figures), "notes": list(self.notes)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> QualityReport:
        """The report that `to_json` wrote."""
        return cls(values["verdict"], tuple(values["reasons"]), dict(values["figures"]), tuple(values["notes"]))


@dataclass(frozen=True, eq=False)
class _Came:
    """Readings as they came, in that order, before any was corrected."""

    meter: Meter
    step_s: int
    start_s: Instants
    power_kw: Values
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    skipped_hour_rows: int = 0


def judge(readings: Readings, table: MeterTable, min_days: float = MIN_DAYS) -> QualityReport:
    """The verdict on the `readings` of a file and the table made of them.

    refused: nothing to learn from (fewer than min_days measured days, a constant, mostly stuck or hardly measured). usable: something is
    wrong and said. good: the rest.
    """
    start_s, power_kw = (readings.frame[name].to_numpy() for name in ("start", "power_kw"))
    facts = (readings.notes, readings.doubts, readings.skipped_hour_rows)
    return _judged(_Came(readings.meter, readings.step_s, start_s, power_kw, *facts), table, min_days)


def judge_arrived(batch: Batch, table: MeterTable, min_days: float = MIN_DAYS) -> QualityReport:
    """The verdict on readings that arrived, by the rules for a file; a batch has no repetition and no disorder to blame."""
    return _judged(_Came(table.meter, batch.step_s, batch.start_s, batch.power_kw), table, min_days)


def _judged(readings: _Came, table: MeterTable, min_days: float) -> QualityReport:
    figures = _figures(readings, table)
    refusals = _refusals(figures, min_days)
    doubts = [*readings.doubts, *_doubts(figures, readings)]
    verdict: Verdict = "refused" if refusals else "usable" if doubts else "good"
    return QualityReport(verdict, (_summary(figures, readings), *refusals, *doubts), figures, readings.notes)


def _figures(readings: _Came, table: MeterTable) -> dict[str, Figure]:
    instants = readings.start_s
    measured = np.isfinite(table.power_kw)
    kinds = disbelieved(readings.power_kw[np.argsort(instants, kind="stable")], readings.meter.flow)
    flat_rows, flat_runs, longest_flat = _flat_runs(table)
    known = table.power_kw[measured]
    ordered = np.sort(instants)
    jumps = _clock_jumps(instants, readings)
    return {
        "start": _moment(table.start_s),
        "end": _moment(table.end_s),
        "span_days": round(len(table) * table.step_s / DAY_S, 3),
        "measured_days": round(int(measured.sum()) * table.step_s / DAY_S, 3),
        "resolution_s": table.step_s,
        "rows": len(instants),
        "share_missing": round(1 - float(measured.mean()), 6),
        "longest_gap_hours": round(_longest_run(~measured) * table.step_s / HOUR_S, 2),
        "mean_kw": round(float(known.mean(dtype=np.float64)), 4) if known.size else 0.0,
        "max_kw": round(float(known.max()), 4) if known.size else 0.0,
        "spread_kw": round(float(np.ptp(known)), 4) if known.size else 0.0,
        "duplicates": int((np.diff(ordered) == 0).sum()),
        "out_of_order": int((instants < np.maximum.accumulate(instants)).sum()),
        "negative": int(kinds["negative"].sum()),
        "impossible": int(kinds["impossible"].sum()),
        "zero_filled_hours": round(int(kinds["zero_filled"].sum()) * readings.step_s / HOUR_S, 2),
        "flat_runs": flat_runs,
        "longest_flat_hours": round(longest_flat * table.step_s / HOUR_S, 2),
        "share_flat": round(flat_rows / max(int(measured.sum()), 1), 6),
        "off_grid": _off_grid(ordered, readings.step_s),
        "clock_jumps": len(jumps),
        "first_clock_jump": next(iter(jumps), ""),
        "skipped_hour_rows": readings.skipped_hour_rows,
    }


def _refusals(figures: dict[str, Any], min_days: float) -> list[str]:
    found = []
    if figures["measured_days"] < min_days:
        hours = figures["measured_days"] * 24
        amount = f"{hours:.3g} hours" if hours < 72 else f"{figures['measured_days']:.3g} days"
        found.append(f"Only {amount} are measured: too little to learn from, {min_days:g} days are the least.")
    if figures["share_missing"] > 0.8:
        found.append(f"{figures['share_missing']:.0%} of the span is not measured.")
    if figures["spread_kw"] == 0 < figures["measured_days"]:
        found.append("Every reading has the same value.")
    elif figures["share_flat"] > 0.5:
        found.append(f"{figures['share_flat']:.0%} of the readings repeat one value for hours: the meter is stuck, or gaps were filled.")
    return found


def _doubts(figures: dict[str, Any], readings: _Came) -> list[str]:
    look = f"this file's clock looks different from its zone ({readings.meter.zone})"
    many = max(10, len(readings.start_s) // 1_000)
    f = figures
    sentences = [
        (0.05 < f["share_missing"] <= 0.8, f"{f['share_missing']:.1%} of the span is not measured."),
        (f["longest_gap_hours"] > 72, f"The longest gap lasts {f['longest_gap_hours'] / 24:.1f} days."),
        (f["zero_filled_hours"] > 0, f"{f['zero_filled_hours']:g} hours of exact zeros stand where nothing was measured: read as gaps."),
        (f["duplicates"] > many, f"{f['duplicates']:,} rows repeat an instant: the last one counts."),
        (f["out_of_order"] > many, f"{f['out_of_order']:,} rows stand out of order: sorted."),
        (f["negative"] > 0, f"{f['negative']:,} readings are below zero: read as gaps; if the house feeds in, its flow is net."),
        (f["impossible"] > 0, f"{f['impossible']:,} readings are impossibly high: read as gaps."),
        (f["flat_runs"] > 0, f"{f['flat_runs']} stretches repeat one value, the longest for {f['longest_flat_hours']:.0f} hours."),
        (
            f["off_grid"] > many,
            f"{f['off_grid']:,} rows lie beside the grid of {step_in_words(readings.step_s)}: moved to the nearest row.",
        ),
        (f["clock_jumps"] > 0, f"{f['clock_jumps']} jumps of an hour in nights of a clock change, first {f['first_clock_jump']}: {look}."),
        (f["skipped_hour_rows"] > 0, f"{f['skipped_hour_rows']:,} readings lie in an hour that the zone's clock skips: {look}."),
        (f["resolution_s"] >= DAY_S, "One reading a day or less: too coarse for a forecast of hours or minutes."),
    ]
    return [sentence for holds, sentence in sentences if holds]


def _summary(figures: dict[str, Any], readings: _Came) -> str:
    span = f"{figures['span_days']:.1f} days at {step_in_words(readings.step_s)}, {figures['start']} to {figures['end']}"
    missing = f"{figures['share_missing']:.1%} not measured, longest gap {figures['longest_gap_hours']:g} hours"
    return f"{span}; mean {figures['mean_kw']:.3g} kW; {missing}."


def step_in_words(step_s: int) -> str:
    """1 h, 15 min, 10 s."""
    return f"{step_s // HOUR_S} h" if step_s % HOUR_S == 0 else f"{step_s // 60} min" if step_s % 60 == 0 else f"{step_s} s"


def _moment(instant: int) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _runs(values: Values) -> tuple[Instants, Instants]:
    """Where runs of one same value begin and how long they are; NaN differs from everything, itself included."""
    edges = np.flatnonzero(values[1:] != values[:-1]) + 1
    begins = np.concatenate([[0], edges])
    return begins, np.diff(np.concatenate([begins, [len(values)]]))


def _longest_run(mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int:
    begins, lengths = _runs(mask.astype(np.float32))
    return int(lengths[mask[begins]].max(initial=0))


def _flat_runs(table: MeterTable) -> tuple[int, int, int]:
    """Rows in runs that are too long to be true, the number of those runs, and the longest.

    Too long: 6 hours, 6 rows, and four times the run that this meter shows on a usual day (a coarse meter repeats itself all night).
    Runs of zero do not count: nothing may well be used for days.
    """
    begins, lengths = _runs(table.power_kw)
    known = np.isfinite(table.power_kw[begins])
    begins, lengths = begins[known], lengths[known]
    if begins.size == 0:
        return 0, 0, 0
    per_day = max(DAY_S // table.step_s, 1)
    longest_of_day = np.zeros(len(table) // per_day + 1, dtype=np.int64)
    np.maximum.at(longest_of_day, begins // per_day, np.minimum(lengths, per_day))
    usual = float(np.median(longest_of_day[longest_of_day > 0]))
    limit = max(6 * HOUR_S / table.step_s, 6.0, 4 * usual)
    flat = lengths[(lengths >= limit) & (table.power_kw[begins] != 0)]
    return int(flat.sum()), int(flat.size), int(flat.max(initial=0))


def _off_grid(ordered: Instants, step_s: int) -> int:
    """How many rows lie off the phase that most rows have; days are excused, for local midnight moves with the clock."""
    return 0 if step_s >= DAY_S else len(ordered) - int(np.bincount(ordered % step_s).max())


def _clock_jumps(instants: Instants, readings: _Came) -> list[str]:
    """The local moments at which exactly an hour is missing or repeated, in the night of a European or American clock change."""
    off = np.diff(instants) - readings.step_s
    places = np.flatnonzero(np.abs(off) == HOUR_S)
    wall = instants[places] + utc_offset_s(readings.meter.zone, instants[places])
    night = [datetime.fromtimestamp(int(moment), UTC) for moment in wall if moment % DAY_S < 4 * HOUR_S]
    return [f"{moment:%Y-%m-%d %H:%M}" for moment in night if moment.date() in _change_days(moment.year)]


def _change_days(year: int) -> set[date]:
    def sunday(month: int, before_day: int) -> date:
        last = date(year, month, before_day)
        return last - timedelta(days=(last.weekday() + 1) % 7)

    return {sunday(3, 31), sunday(10, 31), sunday(3, 14), sunday(11, 7)}
