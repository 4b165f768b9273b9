"""The registry as blobs: one small JSON for each task and meter, replaced only as it was read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial

from wattcast.errors import NotFound, RegistryConflict
from wattcast.forecasting.runs import PipelineRun
from wattcast.forecasting.star import STAR
from wattcast.ports import Alias, Blobs

_TRIES = 50


@dataclass
class _Known:
    """verdicts: version -> its verdict, the oldest first; aliases: alias -> version."""

    verdicts: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)

    def add(self, bundles: list[str]) -> None:
        for bundle in bundles:
            self.verdicts.setdefault(bundle, "")

    def of(self, bundle: str) -> str:
        if bundle not in self.verdicts:
            raise NotFound(f"bundle {bundle[:12]} was never logged", "log the run of the pipeline that made it first")
        return self.verdicts[bundle]


class BlobRegistry:
    """`registry/TASK-METER/versions.json` among the blobs."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def log_run(self, run: PipelineRun) -> None:
        """Keep the run's bundles as versions."""
        for task in dict.fromkeys(record.task for _, record in run.made):
            bundles = [record.bundle for _, record in run.made if record.task == task]
            self._change(task, run.meter, partial(_Known.add, bundles=bundles))

    def versions(self, task: str, meter: str) -> list[str]:
        """The bundles that were logged, the oldest first."""
        return list(self._read(task, meter)[0].verdicts)

    def point(self, task: str, meter: str, alias: Alias, bundle: str) -> None:
        """Call this version so, and no other. Raises NotFound."""

        def change(known: _Known) -> None:
            known.aliases.pop(alias, None)
            if bundle:
                known.of(bundle)
                known.aliases[alias] = bundle

        self._change(task, meter, change)

    def aliased(self, task: str, meter: str) -> dict[str, str]:
        """Alias -> the bundle that is called so."""
        return self._read(task, meter)[0].aliases

    def judge(self, task: str, meter: str, bundle: str, verdict: str) -> None:
        """Keep these words as the verdict on a version. Raises NotFound."""

        def change(known: _Known) -> None:
            known.of(bundle)
            known.verdicts[bundle] = verdict

        self._change(task, meter, change)

    def verdict(self, task: str, meter: str, bundle: str) -> str:
        """The words kept. Raises NotFound."""
        return self._read(task, meter)[0].of(bundle)

    def _read(self, task: str, meter: str) -> tuple[_Known, str]:
        try:
            blob = self._blobs.get(_name(task, meter))
        except NotFound:
            return _Known(), ""
        try:
            return _Known(**json.loads(blob.data)), blob.version
        except (ValueError, TypeError) as cause:
            raise RegistryConflict(f"{_name(task, meter)} cannot be read ({cause})", "delete it: the next run writes it anew") from cause

    def _change(self, task: str, meter: str, change: Callable[[_Known], object]) -> None:
        for left in reversed(range(_TRIES)):
            known, version = self._read(task, meter)
            change(known)
            try:
                self._blobs.swap(_name(task, meter), json.dumps(asdict(known), indent=1).encode(), version)
            except RegistryConflict:
                if not left:
                    raise
            else:
                return


def _name(task: str, meter: str) -> str:
    return f"registry/{task}/versions.json" if meter == STAR else f"registry/{task}-{meter}/versions.json"
