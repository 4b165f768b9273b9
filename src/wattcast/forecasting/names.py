"""The names of the columns of a feature matrix, by what they look back on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wattcast.forecasting.spec import Known, Recent, Seasonal


def recent_names(part: Recent) -> tuple[str, ...]:
    """The names of the columns that come from it, in order."""
    column = part.column
    names = [f"{column}[-{offset}]" for offset in part.offsets]
    names += [f"{column}.mean{width}" for width in part.means] + [f"{column}.spread{width}" for width in part.spreads]
    names += [f"{column}.{kind}{width}" for width in part.extremes for kind in ("min", "max")]
    names += [f"{column}.change{offset}" for offset in part.changes]
    if part.event is not None:
        event = f"{column}.event{part.event:g}"
        names += [f"{event}{f'_{number}' if number else ''}_{what}" for number in range(part.events) for what in ("age", "size")]
        names += [f"{event}_run"] + [f"{event}_count{width}" for width in part.counts]
    if part.level is not None:
        runs = [f"run{number}" for number in range(1, part.runs + 1)]
        names += [f"{column}.above{part.level:g}_{what}" for what in ("age", *runs, "left", "mean", "echo")]
    return tuple(names)


def seasonal_names(part: Seasonal) -> tuple[str, ...]:
    """The names of the columns that come from it, in order."""
    names = [f"days{day}" for day in part.days] + [f"hours{hours}" for hours in part.hours]
    names += [f"mean_days{mean[0]}to{mean[-1]}by{mean[1] - mean[0] if len(mean) > 1 else 1}" for mean in part.means]
    names += [f"mean_kind{days}" for days in part.kinds]
    before = "" if part.column == "power_kw" else f"{part.column}."
    after = (f"~{part.nearby}" if part.nearby else "") + (f"/{part.half_life:g}" if part.half_life else "")
    return tuple(f"{before}{name}{after}" for name in names)


def known_names(part: Known) -> tuple[str, ...]:
    """The names of the columns that come from it, in order."""
    return tuple([f"{part.column}[{-offset:+d}]" for offset in part.offsets] + [f"{part.column}.known_mean{width}" for width in part.means])
