"""Where the columns of a spec's look-backs come from and stand: made once of a spec, so that a row of features costs few steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from wattcast.forecasting.spec import Recent, Seasonal

Places = npt.NDArray[np.int64]
Weights = npt.NDArray[np.float64]


def _places(numbers: Iterable[int]) -> Places:
    return np.array(list(numbers), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Reads:
    """Columns of the matrix that each read one column of the table so many steps (or over so many) before the origin.

    place: where they stand among the spec's; column: number of the table's column; steps: how far back, or how wide. distinct: the
    columns among them, each once; number: which of these each one is.
    """

    place: Places
    column: Places
    steps: Places
    distinct: Places
    number: Places

    @classmethod
    def of(cls, found: Sequence[tuple[int, int, int]]) -> Reads:
        """Of triples of place, column and steps."""
        place, column, steps = (_places(numbers) for numbers in (zip(*found, strict=True) if found else ((), (), ())))
        return cls(place, column, steps, *np.unique(column, return_inverse=True))

    def __len__(self) -> int:
        return len(self.place)


@dataclass(frozen=True, eq=False)
class RecentLayout:
    """The columns of every Recent of a spec, from the first one on.

    offsets, changes, means, spreads: what is read alike of all parts at once; of extremes, events and switches each part has its own,
    which begin at these places.
    """

    width: int
    offsets: Reads
    changes: Reads
    means: Reads
    spreads: Reads
    extremes: tuple[tuple[int, Recent], ...]
    events: tuple[tuple[int, Recent], ...]
    switches: tuple[tuple[int, Recent], ...]

    @classmethod
    def of(cls, parts: tuple[Recent, ...], numbers: Mapping[str, int]) -> RecentLayout:
        """In the order of the spec's names. numbers: of the table's columns, by name."""
        found: dict[str, list[tuple[int, int, int]]] = {"offsets": [], "means": [], "spreads": [], "changes": []}
        own: dict[str, list[tuple[int, Recent]]] = {"extremes": [], "events": [], "switches": []}
        place = 0
        for part in parts:
            for kind in ("offsets", "means", "spreads"):
                steps = getattr(part, kind)
                found[kind] += [(place + number, numbers[part.column], step) for number, step in enumerate(steps)]
                place += len(steps)
            if part.extremes:
                own["extremes"].append((place, part))
                place += 2 * len(part.extremes)
            found["changes"] += [(place + number, numbers[part.column], step) for number, step in enumerate(part.changes)]
            place += len(part.changes)
            if part.event is not None:
                own["events"].append((place, part))
                place += 2 * part.events + 1 + len(part.counts)
            if part.level is not None:
                own["switches"].append((place, part))
                place += part.runs + 4
        offsets, means, spreads, changes = (Reads.of(found[kind]) for kind in ("offsets", "means", "spreads", "changes"))
        extremes, events, switches = (tuple(own[kind]) for kind in ("extremes", "events", "switches"))
        return cls(place, offsets, changes, means, spreads, extremes, events, switches)


@dataclass(frozen=True, eq=False)
class SeasonalLayout:
    """The columns of those Seasonals of a spec that read the same column alike (`nearby`).

    days: every day that any of them looks back to, falling into single days (`day_places`, `day_numbers`), means over some of them
    (`mean_weights`, shape (days, means)) and means over those of the target's kind (`kind_weights`, likewise); hours: lags in hours.
    """

    column: int
    nearby: int
    days: Places
    day_places: Places
    day_numbers: Places
    hour_places: Places
    hours: Places
    mean_places: Places
    mean_weights: Weights
    kind_places: Places
    kind_weights: Weights

    @classmethod
    def of(cls, column: int, parts: Sequence[tuple[int, Seasonal]]) -> SeasonalLayout:
        """Of parts with the place at which each one's columns begin."""
        single: list[tuple[int, int]] = []
        hours: list[tuple[int, int]] = []
        means: list[tuple[int, tuple[int, ...], float | None]] = []
        kinds: list[tuple[int, tuple[int, ...], float | None]] = []
        for first, part in parts:
            place = first
            single += [(place + number, day) for number, day in enumerate(part.days)]
            place += len(part.days)
            hours += [(place + number, hour) for number, hour in enumerate(part.hours)]
            place += len(part.hours)
            means += [(place + number, mean, part.half_life) for number, mean in enumerate(part.means)]
            place += len(part.means)
            kinds += [(place + number, tuple(range(1, longest + 1)), part.half_life) for number, longest in enumerate(part.kinds)]
        days = sorted({day for _, day in single} | {day for _, mean, _ in (*means, *kinds) for day in mean})
        return cls(
            column,
            parts[0][1].nearby,
            _places(days),
            _places(place for place, _ in single),
            _places(days.index(day) for _, day in single),
            _places(place for place, _ in hours),
            _places(hour for _, hour in hours),
            _places(place for place, *_ in means),
            _weights(days, means),
            _places(place for place, *_ in kinds),
            _weights(days, kinds),
        )


def _weights(days: list[int], means: Sequence[tuple[int, tuple[int, ...], float | None]]) -> Weights:
    """How much each day counts in each mean: equally, or less the further back it lies."""
    weights = np.zeros((len(days), len(means)))
    for number, (_, mean, half_life) in enumerate(means):
        for day in mean:
            weights[days.index(day), number] += 0.5 ** (day / half_life) if half_life else 1.0
    return weights


@dataclass(frozen=True, eq=False)
class Layout:
    """Where every column of a spec's matrix comes from.

    columns: what is read of the table, numbered in this order, the power first; read: of each single reading before the origin the column.
    """

    columns: tuple[str, ...]
    read: tuple[str, ...]
    recent: RecentLayout
    seasonal: tuple[SeasonalLayout, ...]
    seasonal_width: int

    @classmethod
    def of(cls, recent: tuple[Recent, ...], seasonal: tuple[tuple[Seasonal, int], ...]) -> Layout:
        """seasonal: each part with the number of its columns."""
        columns = tuple(dict.fromkeys(["power_kw", *(part.column for part in recent), *(part.column for part, _ in seasonal)]))
        numbers = {name: number for number, name in enumerate(columns)}
        alike: dict[tuple[str, int], list[tuple[int, Seasonal]]] = {}
        place = 0
        for part, width in seasonal:
            alike.setdefault((part.column, part.nearby), []).append((place, part))
            place += width
        groups = tuple(SeasonalLayout.of(numbers[column], parts) for (column, _), parts in alike.items())
        layout = RecentLayout.of(recent, numbers)
        return cls(columns, tuple(columns[number] for number in layout.offsets.column), layout, groups, place)
