"""Models are data: code that somebody plants in a store is never run."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from wattcast.adapters.files import FileSnapshots
from wattcast.adapters.model_store import FileModelStore
from wattcast.errors import BadBundle, WattcastError
from wattcast.forecasting.bundle import open_bundle
from wattcast.forecasting.registry import manifest_from_json, record_from_json
from wattcast.meter.table import MeterTable


class Trap:
    """Unpickling this creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def object_array(trap: Trap) -> bytes:
    """numpy's zip with an array of objects, which is a pickle inside."""
    buffer = io.BytesIO()
    np.savez(buffer, facts=np.array([trap, trap], dtype=object), columns=np.zeros((1, 1), dtype=np.float32))
    return buffer.getvalue()


def planted(trap: Trap) -> Iterator[bytes]:
    """Bundles of somebody who writes the store and wants the server to unpickle: every hash is right."""
    good, code = tiny.bundle(), pickle.dumps(trap)
    yield code
    yield code + good
    yield tiny.zipped({"model.pkl": code})
    yield tiny.zipped({"manifest.json": code})
    yield tiny.repacked(good, {"model.pkl": code})
    yield tiny.repacked(good, {"history/heads.onnx": code})
    yield tiny.repacked(good, {"golden.npz": code})
    yield tiny.repacked(good, {"golden.npz": object_array(trap)})
    yield tiny.repacked(good, {"history/mean.ubj": code})


def test_original_fault_4_a_planted_pickle_runs_nowhere(tmp_path: Path) -> None:
    """Whoever writes the store cannot run code: pickles as a bundle, a member, heads, records, manifest or readings are data or refused."""
    mark = tmp_path / "code-ran"
    trap = Trap(mark)
    record, refused = tiny.record(tiny.bundle()), 0
    for data in planted(trap):
        try:
            opened = open_bundle(data, native=True)
            opened.replay(record.golden)
        except BadBundle:
            refused += 1
    # A pickle before the zip and one in the place of native heads are bytes that nobody looks at.
    assert refused == 7
    code = pickle.dumps(trap)
    models, readings = FileModelStore(tmp_path / "store"), FileSnapshots(tmp_path / "store")
    models.put_record(record)
    readings.put(tiny.minute_table().rows(0, 10))
    for path in (tmp_path / "store").rglob("*.*"):
        path.write_bytes(code)
    (tmp_path / "store" / "serving.json").write_bytes(code)
    for read in (
        models.manifest,
        lambda: models.record(record.bundle),
        lambda: readings.latest("house", 60),
        lambda: record_from_json(code),
        lambda: manifest_from_json(code),
        lambda: MeterTable.from_bytes(code),
        lambda: MeterTable.from_bytes(object_array(trap)),
    ):
        with pytest.raises(WattcastError):
            read()
    assert not mark.exists()


def test_original_fault_4_the_trap_is_a_trap(tmp_path: Path) -> None:
    """The promise above is worth something: unpickled, the trap springs."""
    pickle.loads(pickle.dumps(Trap(tmp_path / "code-ran")))
    assert (tmp_path / "code-ran").exists()
    assert zipfile.is_zipfile(io.BytesIO(object_array(Trap(tmp_path))))
