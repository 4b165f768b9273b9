"""Optuna: studies in a SQLite file, which outlive whatever stops them and are gone on with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from wattcast.adapters.interrupts import interrupts_kept
from wattcast.errors import Unavailable
from wattcast.forecasting.tuning import Range, Search, Settings, State, Trial

if TYPE_CHECKING:
    import optuna

# Trials that must be whole before one is pruned for being behind their median.
_LEAST_BEFORE_PRUNING = 5
_STATES: dict[str, State] = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "unfinished"}


class Study:
    """One study, opened or gone on with. Close it, or use it in a `with`.

    path: the SQLite file, made where it is not there; name: trials of the same name compare (`Search.digest`). Raises Unavailable
    where Optuna is not installed or the file is no store of studies.
    """

    def __init__(self, path: Path, name: str, seed: int) -> None:
        try:
            import optuna  # noqa: PLC0415 (an extra, and a second to load)
            from sqlalchemy import URL  # noqa: PLC0415 (comes with Optuna)
        except ImportError as cause:
            raise Unavailable("Optuna is not installed, and tuning needs it", 'pip install "wattcast[tune]"') from cause
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._path = path
        with _spoken(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._storage = optuna.storages.RDBStorage(URL.create("sqlite", database=str(path)).render_as_string())
            self._study = optuna.create_study(storage=self._storage, study_name=name, load_if_exists=True)
            # Another seed for the rest of a study, or it would draw again what it began with.
            self._study.sampler = optuna.samplers.TPESampler(seed=seed + len(self._study.get_trials(deepcopy=False)))
            self._study.pruner = optuna.pruners.MedianPruner(n_startup_trials=_LEAST_BEFORE_PRUNING)

    def __enter__(self) -> Study:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._storage.remove_session()
        self._storage.engine.dispose()

    def trials(self) -> list[Trial]:
        """Every trial that was begun, in the order of their numbers."""
        with _spoken(self._path):
            kept = self._study.get_trials(deepcopy=False)
        return [_trial(each) for each in kept if each.state.name in _STATES]

    def run(self, search: Search, most: int, seconds: float, told: Callable[[Trial], None], progress: Callable[[float], None]) -> None:
        """Try settings until the study has `most` trials that are whole or pruned, those from before counted, or time is up (0: never).

        The settings that the search starts from are tried before any other, in any case, and never pruned. told: called with each
        trial that ended; progress: with the share done. What a trial raises ends the run and leaves the study whole.
        """
        left = max(most - sum(trial.state in ("complete", "pruned") for trial in self.trials()), 0)
        if not any(trial.state == "complete" and trial.settings == search.recipe.settings for trial in self.trials()):
            left = max(left, 1)
            self._begin_at(dict(search.here))
        if not left:
            return
        began, numbers = time.monotonic(), iter(range(left))

        def objective(trial: optuna.Trial) -> float:
            number = next(numbers)

            def done(share: float) -> None:
                of_time = (time.monotonic() - began) / seconds if seconds else 0.0
                progress(min(max((number + share) / left, of_time), 1.0))

            return _tried(trial, search, done)

        with _spoken(self._path), interrupts_kept() as check:

            def ended_trial(_study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
                told(_trial(trial))
                check()

            self._study.optimize(objective, n_trials=left, timeout=seconds or None, callbacks=[ended_trial])

    def _begin_at(self, point: dict[str, float]) -> None:
        """Have this point tried next; it may still wait from a run that was killed."""
        with _spoken(self._path):
            kept = self._study.get_trials(deepcopy=False)
            if point not in [trial.system_attrs.get("fixed_params") for trial in kept if trial.state.name == "WAITING"]:
                self._study.enqueue_trial(point)


def _tried(trial: optuna.Trial, search: Search, done: Callable[[float], None]) -> float:
    """The error of the settings that the sampler proposes; raises TrialPruned as soon as they are behind."""
    from optuna import TrialPruned  # noqa: PLC0415 (an extra)

    settings = search.settings_at({each.name: _proposed(trial, each) for each in search.space})
    trial.set_user_attr("settings", settings)
    error = float("nan")
    for number, error in enumerate(search.errors(settings), 1):
        trial.report(error, number)
        done(number / search.blocks)
        if number < search.blocks and settings != search.recipe.settings and trial.should_prune():
            raise TrialPruned
    return error


def _proposed(trial: optuna.Trial, each: Range) -> float:
    if each.whole:
        return trial.suggest_int(each.name, int(each.low), int(each.high), log=each.log)
    return trial.suggest_float(each.name, each.low, each.high, log=each.log)


def _trial(kept: optuna.trial.FrozenTrial) -> Trial:
    settings: Settings = kept.user_attrs.get("settings", {})
    return Trial(kept.number, _STATES[kept.state.name], kept.value, settings, kept.duration.total_seconds() if kept.duration else 0.0)


@contextmanager
def _spoken(path: Path) -> Iterator[None]:
    """What the database refuses becomes one Unavailable."""
    import optuna  # noqa: PLC0415 (an extra)
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 (comes with Optuna)

    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as cause:
        said: Any = cause.__cause__ or cause
        found = f"{path} cannot be used as a store of studies: {str(getattr(said, 'orig', None) or said).splitlines()[0]}"
        raise Unavailable(found, "name another file with --study, or free some space") from cause
