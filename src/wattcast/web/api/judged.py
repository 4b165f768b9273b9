"""What is to be thought of readings, as types of the API; a verdict for each state of what arrived of a meter, made when asked for."""

from __future__ import annotations

from collections import OrderedDict
from typing import Annotated, Any, Literal

from flask import current_app
from msgspec import Struct

from wattcast.errors import BadMeterFile
from wattcast.forecasting.forecast import iso
from wattcast.meter.arrivals import Batch, StoredMeter
from wattcast.meter.cleaning import grid_of
from wattcast.meter.quality import QualityReport, judge_arrived
from wattcast.meter.table import Meter
from wattcast.ports import ReadingStore
from wattcast.web.api.words import said, told

# Ten weeks of minutes, eleven years of hours: read and judged in a third of a second.
_JUDGED = 100_000
_REMEMBERED = 256

Key = tuple[str, int]


class Quality(Struct, frozen=True):
    """What is to be thought of a meter's readings: whether they are enough, and good enough, to learn from."""

    verdict: Annotated[
        Literal["good", "usable", "refused"],
        said("usable: something is wrong, and said; refused: nothing can be learned from them.", "good"),
    ]
    reasons: Annotated[list[str], said("Sentences; the first sums the readings up.", ["59.5 days at 1 h."])]
    figures: Annotated[dict[str, Any], said("What was counted, units in the names.", {"measured_days": 59.5, "mean_kw": 1.09})]
    notes: Annotated[list[str], said("What was assumed in reading them.", ["times carry their offset from UTC"])]


class ArrivedQuality(Quality, frozen=True):
    """What is to be thought of the readings that arrived of a meter, the last 100,000 of them where there are more."""

    first: Annotated[str, told("Start of the first reading it is about")]
    end: Annotated[str, told("End of the last")]


def quality_of(report: QualityReport) -> Quality:
    """A report as the API gives it."""
    return Quality(report.verdict, list(report.reasons), dict(report.figures), list(report.notes))


class Verdicts:
    """The latest verdicts of this worker, by meter and revision of its readings."""

    def __init__(self) -> None:
        self._said: OrderedDict[Key, ArrivedQuality | None] = OrderedDict()

    def of(self, stored: StoredMeter, readings: ReadingStore) -> ArrivedQuality | None:
        """The verdict on the last readings that arrived of a meter; None where there are none. Raises Unavailable."""
        key = (stored.meter.id, stored.revision)
        if key not in self._said:
            self._said[key] = _judged(stored, readings)
            while len(self._said) > _REMEMBERED:
                self._said.popitem(last=False)
        return self._said[key]


def verdicts() -> Verdicts:
    """The verdicts of the app that answers now."""
    here: Verdicts = current_app.extensions.setdefault("wattcast_verdicts", Verdicts())
    return here


def _judged(stored: StoredMeter, readings: ReadingStore) -> ArrivedQuality | None:
    changes = readings.changes(stored.meter.id, 0, (_JUDGED - 1) * stored.step_s)
    if changes is None or changes.batch is None or not len(changes.batch):
        return None
    batch, zone = changes.batch, changes.meter.zone
    of = quality_of(_report(changes.meter, batch))
    first, end = iso(int(batch.start_s[0]), zone), iso(int(batch.start_s[-1]) + batch.step_s, zone)
    return ArrivedQuality(of.verdict, of.reasons, of.figures, of.notes, first, end)


def _report(meter: Meter, batch: Batch) -> QualityReport:
    try:
        return judge_arrived(batch, grid_of(meter, batch, "the readings"))
    except BadMeterFile as cause:
        # Times too far apart to lie on one grid: that, too, is a verdict.
        return QualityReport("refused", (f"{cause.message[0].upper()}{cause.message[1:]}.",))
