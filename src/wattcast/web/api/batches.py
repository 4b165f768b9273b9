"""Many forecasts at once: those from single readings in one vectorised prediction, the others one by one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import msgspec
import numpy as np

from wattcast.errors import WattcastError
from wattcast.forecasting.forecast import iso_each
from wattcast.serving import Ask, Each, from_each
from wattcast.web.api.answers.forecasts import BatchAnswer, BatchResult, ForecastStep
from wattcast.web.api.answers.problems import FieldError, ProblemDetails
from wattcast.web.api.asked import BatchRequest, ForecastRequest
from wattcast.web.api.forecasts import answer_of, answered, meter_of
from wattcast.web.api.operations import operation
from wattcast.web.api.sent import of_single, singly
from wattcast.web.problems import problem_of
from wattcast.web.site import site
from wattcast.web.telemetry import count

_BATCH_BYTES = 32 * 1024 * 1024


@operation(
    "POST",
    "/forecast/batch",
    BatchAnswer,
    body=BatchRequest,
    problems=(400, 413, 415, 422, 503),
    largest_bytes=_BATCH_BYTES,
    scope="forecast",
)
def forecast_batch(body: BatchRequest) -> BatchAnswer:
    """Up to 1,000 forecasts at once.

    Each has its own result or problem; one that fails does not stop the others.
    """
    results: dict[int, BatchResult] = {}
    for numbers in _alike(body.requests):
        results |= _together([(number, body.requests[number]) for number in numbers])
    return BatchAnswer([results.get(number) or _result(asked) for number, asked in enumerate(body.requests)])


def _alike(requests: list[ForecastRequest]) -> Iterator[list[int]]:
    """The numbers of requests from a single reading that are alike in all else, where there are several."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for number, asked in enumerate(requests):
        if singly(asked):
            wanted = None if asked.quantiles is None else tuple(asked.quantiles)
            alike = (asked.meter, asked.task, asked.family, asked.zone, asked.flow, asked.resolution_s, wanted)
            groups.setdefault(alike, []).append(number)
    yield from (numbers for numbers in groups.values() if len(numbers) > 1)


def _together(asked: list[tuple[int, ForecastRequest]]) -> dict[int, BatchResult]:
    """The results of requests that are alike, by their numbers; without those that have to be asked one by one."""
    here, one, now_s = site(), asked[0][1], int(site().now())
    try:
        meter, _, logged = meter_of(one.meter, one.zone, one.flow, with_readings=True)
        if one.resolution_s not in (None, here.service.step_of(one.task)):
            return {}
        starts_s, columns = of_single([request for _, request in asked], meter.zone)
        each = from_each(here.service, Ask(meter.id, one.task, now_s, None, None, one.family), meter, starts_s, columns)
        return {} if each is None else _results(each, [number for number, _ in asked], one.quantiles, now_s, logged=logged)
    except WattcastError:
        # What is wrong with one of them is said of that one.
        return {}


def _results(each: Each, numbers: list[int], wanted: list[float] | None, now_s: int, *, logged: bool) -> dict[int, BatchResult]:
    like = answer_of(each.first, (), wanted)
    names = each.first.steps.names
    places = [(name, names.index(name) + 1) for name in like.steps[0].quantiles]
    rows, moments = each.values.round(6).tolist(), iso_each(each.origins_s, each.first.zone)
    results, log, contested = {}, site().live.written_behind, site().service.is_contested(each.first)
    ages = np.maximum(now_s - each.origins_s, 0).tolist()
    for place in np.flatnonzero(each.answered).tolist():
        row, moment = rows[place], moments[place]
        step = ForecastStep(moment, row[0], {name: row[at] for name, at in places})
        results[numbers[place]] = BatchResult(msgspec.structs.replace(like, origin=moment, steps=[step], data_age_s=ages[place]))
        if logged and not contested:
            log.again((like.meter, like.task, moment, like.version, *row), partial(each.forecast, place, now_s), now_s)
    count(each.first, len(results))
    return results


def _result(asked: ForecastRequest) -> BatchResult:
    try:
        return BatchResult(forecast=answered(asked))
    except WattcastError as error:
        found = problem_of(error)
        errors = [FieldError(name, message) for name, message in found.errors.items()]
        return BatchResult(problem=ProblemDetails(found.type, found.title, found.status, found.detail, found.hint, errors))
