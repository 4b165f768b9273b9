"""A service that trusts certain keys takes nothing that they did not sign, says why each time, and goes on as it was."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import tiny
from graphs import GRAPH, changed, external
from onnx import helper
from pairs import make_pair
from registered import HOUSE, ask, bundle_path, flip, slot_in

from wattcast.adapters.files import FileBlobs, FileSnapshots
from wattcast.adapters.model_store import BlobModelStore
from wattcast.adapters.seals import Seals
from wattcast.adapters.signatures import Signer, Trust
from wattcast.errors import RegistryConflict
from wattcast.forecasting.choosing import slot_of
from wattcast.forecasting.registry import Record
from wattcast.forecasting.succession import Step
from wattcast.serving import Current

NOW_S, DAY_S = 1_300_000_000, 86_400
Open = Callable[..., BlobModelStore]


class Clock:
    """The time, as a test sets it."""

    now_s = float(NOW_S)

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """What everybody's time is."""
    return Clock()


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, tuple[Path, Path]]:
    """Pairs of keys by the name of who has them."""
    return {name: make_pair(tmp_path, name) for name in ("ours", "next", "foreign")}


@pytest.fixture
def opened(store: Path, keys: dict[str, tuple[Path, Path]], clock: Clock) -> Open:
    """opened(signer="", trusted=(), days=0) -> the store, as one who has these keys opens it."""

    def open_it(signer: str = "", trusted: tuple[str, ...] = (), days: int = 0, seen: Path | None = None) -> BlobModelStore:
        signs = Signer.from_file(keys[signer][0]) if signer else None
        trusts = Trust.from_files(keys[name][1] for name in trusted) if trusted else None
        return BlobModelStore(FileBlobs(store), Seals(signs, trusts, days, seen, clock))

    return open_it


def published(models: BlobModelStore, data: bytes, record: Record | None = None) -> str:
    """The id of this bundle, once it is the champion of the house's day ahead."""
    known = record or tiny.record(data)
    bundle = models.put_bundle(data)
    models.put_record(known)
    slot = slot_of("day_ahead", tiny.TASKS["day_ahead"], "house", tiny.LEVELS, [known], "")
    models.change(lambda manifest: Step(manifest.with_slots(HOUSE, [slot]), "register"), at="now", by="tests")
    return bundle


@pytest.fixture
def first(opened: Open) -> str:
    """The champion that we signed."""
    return published(opened("ours"), tiny.bundle("day_ahead", "xgb", seed=5))


def running(models: BlobModelStore, store: Path) -> Current:
    """What answers from the store."""
    current = Current(models, FileSnapshots(store))
    current.start()
    return current


NEW = partial(tiny.bundle, "day_ahead", "lgbm")


def foreign_bundle(store: Path, opened: Open) -> None:
    """A stranger's record under our manifest."""
    bundle = published(opened("ours"), NEW())
    opened("foreign").put_record(opened().record(bundle))


def unsigned_bundle(store: Path, opened: Open) -> None:
    """A record without a signature under our manifest."""
    bundle = published(opened("ours"), NEW())
    opened().put_record(opened().record(bundle))


def altered_byte(store: Path, opened: Open) -> None:
    """One bit of the bundle's file."""
    flip(bundle_path(store, published(opened("ours"), NEW())))


def altered_record(store: Path, opened: Open) -> None:
    """The golden forecasts of a record."""
    path = store / "records" / f"{published(opened('ours'), NEW())}.json"
    facts = json.loads(path.read_text())
    facts["golden"]["history"][0][0] += 0.5
    path.write_text(json.dumps(facts))


def anothers_record(store: Path, opened: Open) -> None:
    """A record that is signed, of another bundle."""
    before = slot_in(store).champion
    bundle = published(opened("ours"), NEW())
    shutil.copy(store / "records" / f"{before}.json", store / "records" / f"{bundle}.json")


def foreign_manifest(store: Path, opened: Open) -> None:
    """All of it by a stranger."""
    published(opened("foreign"), NEW())


def unsigned_manifest(store: Path, opened: Open) -> None:
    """All of it by somebody without a key."""
    published(opened(), NEW())


def altered_manifest(store: Path, opened: Open) -> None:
    """Another serial in what we signed."""
    published(opened("ours"), NEW())
    path = store / "serving.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "serial": facts["serial"] + 1}))


def garbage_for_a_signature(store: Path, opened: Open) -> None:
    """Something else where the signature should be."""
    path = store / "records" / f"{published(opened('ours'), NEW())}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "signature": {"payload": 1}}))


UNTRUSTED = {
    foreign_bundle: "the model file is signed by key [0-9a-f]{12}, which is not trusted",
    unsigned_bundle: "the model file is not signed",
    altered_byte: "it was altered or torn",
    altered_record: "has the signature of other files: [0-9a-f]{64}.json is not what was signed",
    anothers_record: "has the signature of other files",
    garbage_for_a_signature: "comes with something that is no signature",
    foreign_manifest: "the serving manifest is signed by key [0-9a-f]{12}, which is not trusted",
    unsigned_manifest: "the serving manifest is not signed",
    altered_manifest: "the serving manifest was altered",
}


@pytest.mark.parametrize("attack", UNTRUSTED, ids=lambda attack: attack.__name__)
def test_what_we_did_not_sign_does_not_serve(attack: Callable[[Path, Open], None], store: Path, opened: Open, first: str) -> None:
    """Each is refused with its own sentence, and the champion that we signed goes on."""
    current = running(opened(trusted=("ours",)), store)
    attack(store, opened)
    current.refresh(0)
    assert re.search(UNTRUSTED[attack], current.fault), current.fault
    forecast = current.service.forecast(ask())
    assert (forecast.tier, forecast.version) == ("champion", first)


def test_an_old_manifest_cannot_be_put_back(store: Path, opened: Open, first: str, tmp_path: Path) -> None:
    """Neither while a service runs nor when it starts again: the serial that was seen is remembered beside the store."""
    seen = tmp_path / "seen"
    old = (store / "serving.json").read_bytes()
    second = published(opened("ours"), NEW())
    current = running(opened(trusted=("ours",), seen=seen), store)
    (store / "serving.json").write_bytes(old)
    assert not current.refresh(0)
    assert "an old one was put back" in current.fault
    assert current.service.forecast(ask()).version == second
    with pytest.raises(RegistryConflict, match="an old one was put back"):
        running(opened(trusted=("ours",), seen=seen), store)
    (store / "serving.json").unlink()
    with pytest.raises(RegistryConflict, match="an old one was put back, or the store was emptied"):
        running(opened(trusted=("ours",), seen=seen), store)


def test_signatures_expire_and_are_renewed(store: Path, opened: Open, clock: Clock) -> None:
    """After its days a signature counts no more: the running champion goes on, a start refuses; signed anew both take it."""
    published(opened("ours", days=2), NEW())
    current = running(opened(trusted=("ours",)), store)
    clock.now_s += 3 * DAY_S
    with pytest.raises(RegistryConflict, match="has a signature that expired at"):
        opened(trusted=("ours",)).manifest()
    assert not current.refresh(31)
    assert current.service.forecast(ask()).tier == "champion"


def test_keys_rotate(store: Path, opened: Open, first: str) -> None:
    """While two keys are trusted, what either signed serves; afterwards only the next one's."""
    both = running(opened(trusted=("ours", "next")), store)
    assert both.service.forecast(ask()).version == first
    second = published(opened("next"), NEW())
    assert both.refresh(0)
    assert both.service.forecast(ask()).version == second
    with pytest.raises(RegistryConflict, match="is not trusted"):
        opened(trusted=("ours",)).manifest()
    assert running(opened(trusted=("next",)), store).service.forecast(ask()).version == second


def with_graph(graph: bytes) -> bytes:
    """A bundle whose heads are this graph, every hash right."""
    return tiny.repacked(NEW(), {"history/heads.onnx": graph})


def listing(name: str, content: bytes = b"\x80\x05N.") -> bytes:
    """A bundle with one member more, which its manifest names among a learner's own files."""
    return tiny.repacked(NEW(), {name: content}, lambda facts: facts["models"][0]["native"].append(name))


PLANTED = {
    "a pickle": (lambda: listing("history/mean.pkl"), "is a pickle, which can run code"),
    "a way out": (lambda: listing("../../etc/cron.txt"), "leads out of the bundle"),
    "a program": (lambda: listing("history/mean.so"), "is of a kind that no bundle holds"),
    "external data": (lambda: with_graph(changed(lambda model: model.graph.initializer.append(external()))), "tensors"),
    "a foreign operator": (
        lambda: with_graph(changed(lambda model: model.graph.node.append(helper.make_node("Identity", ["out"], ["again"])))),
        "operator",
    ),
    "a bomb": (lambda: tiny.zipped({"manifest.json": b" " * 600_000_000}), "more than 512 MB"),
    "nothing of ours": (lambda: GRAPH, "is not a whole .wattcast bundle"),
}


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_in_a_bundle_does_not_serve(what: str, store: Path, opened: Open, first: str) -> None:
    """Though somebody with a key signed it: each is refused with its own sentence, and the champion before goes on."""
    current = running(opened(trusted=("ours",)), store)
    plant, words = PLANTED[what]
    data = plant()
    models = opened("ours")
    published(models, data, tiny.record(NEW(), bundle=models.put_bundle(data)))
    current.refresh(0)
    assert words in current.fault
    forecast = current.service.forecast(ask())
    assert (forecast.tier, forecast.version) == ("champion", first)
