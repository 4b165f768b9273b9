"""What nothing names any more in a model store: found, and deleted once it is old enough to be nobody's work in progress."""

from __future__ import annotations

from collections.abc import Iterator

from wattcast.adapters.model_store import BlobModelStore, bundle_name, history_name, record_name
from wattcast.ports import Entry

_SWEPT = ("bundles/", "records/", "history/")


def unnamed(store: BlobModelStore, before_s: float) -> list[Entry]:
    """Bundles, records and entries of the history that nothing names, put before this instant. Raises as the store does."""
    named = _named(store)
    found = (entry for prefix in _SWEPT for entry in store.blobs.entries(prefix))
    return sorted((entry for entry in found if entry.name not in named and entry.modified_s < before_s), key=lambda entry: entry.name)


def swept(store: BlobModelStore, before_s: float) -> Iterator[Entry]:
    """Delete them, one after the other; each once it is gone. What is named meanwhile stays. Safe to end anywhere, and to repeat."""
    version, named = store.version(), set[str]()
    for entry in unnamed(store, before_s):
        if store.version() != version:
            version, named = store.version(), _named(store)
        # Whoever put it again since is about to publish it.
        now = next((each for each in store.blobs.entries(entry.name) if each.name == entry.name), None)
        if entry.name not in named and now is not None and now.modified_s == entry.modified_s:
            store.blobs.delete(entry.name)
            yield entry


def _named(store: BlobModelStore) -> set[str]:
    kept = store.manifest().kept()
    return {name(bundle) for name in (bundle_name, record_name) for bundle in kept} | {history_name(name) for name, _ in store.chain()}
