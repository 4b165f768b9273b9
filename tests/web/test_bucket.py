"""Services on several machines answer from one bucket, and from their copies while it is away."""

from __future__ import annotations

import json
import signal
from contextlib import ExitStack, closing
from pathlib import Path

import buckets
import pytest
from running import Running
from small_store import wait_for

from wattcast.adapters.files import FileBlobs
from wattcast.adapters.model_store import BlobModelStore
from wattcast.adapters.s3 import S3Blobs
from wattcast.forecasting.succession import promote


def asked(server: Running, path: str) -> tuple[int, dict[str, object]]:
    """The status and the JSON of the answer."""
    with closing(server.connect()) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def version(server: Running) -> object:
    """The version that answers the house's day ahead."""
    return asked(server, "/api/v1/meters/house/forecast?task=day_ahead")[1]["version"]


def test_two_machines_and_a_bucket_that_goes_away(store: Path, tmp_path: Path, s3_asker: None) -> None:
    """Both swap to what is published; without the bucket both go on, and one that starts anew answers from its copies and says so."""
    with ExitStack() as stack:
        bucket = stack.enter_context(ExitStack())
        endpoint = bucket.enter_context(buckets.serving())
        url = buckets.new_bucket(endpoint)
        far, near = S3Blobs(url, endpoint=endpoint), FileBlobs(store)
        for entry in near.entries(""):
            far.put(entry.name, near.get(entry.name).data)
        models = BlobModelStore(far)
        settings = {"s3": url, "s3_endpoint": endpoint, "poll": "0.5"}
        for name in ("one", "other"):
            (tmp_path / name).mkdir()

        def start(name: str) -> Running:
            server = Running(tmp_path / name / "store", tmp_path / name / "server.log", **settings).ready()
            stack.callback(lambda: server.process.poll() is None and server.stop(signal.SIGTERM))
            return server

        both = [start("one"), start("other")]
        slot = models.manifest().slots["day_ahead/house"]
        assert [version(server) for server in both] == [slot.champion] * 2
        second = next(bundle for bundle in slot.answering.values() if bundle != slot.champion)
        models.change(lambda manifest: promote(manifest, models.record(second), ()), at="2010-11-28T00:00:00+00:00", by="tests")
        wait_for(lambda: [version(server) for server in both] == [second] * 2)
        assert asked(both[0], "/readyz")[1]["degraded"] == []

        bucket.close()
        wait_for(lambda: "model_store" in str(asked(both[0], "/readyz")[1]["degraded"]))
        assert [version(server) for server in both] == [second] * 2
        assert both[1].stop(signal.SIGTERM) == 0
        again = start("other")
        assert "copies of it in the store's folder answer meanwhile" in again.said()
        status, said = asked(again, "/readyz")
        assert (status, said["degraded"]) == (200, ["model_store"])
        assert version(again) == second


@pytest.mark.parametrize("wrong", ["s3://nobody-has-this-bucket/store", "http://house"])
def test_a_bucket_that_is_not_there_is_one_error(wrong: str, tmp_path: Path, s3_server: str, s3_asker: None) -> None:
    """A service that never saw the bucket cannot start, and says what is wrong and what to do in one line each."""
    server = Running(tmp_path / "store", tmp_path / "server.log", s3=wrong, s3_endpoint=s3_server)
    assert server.process.wait(60) == 1
    assert server.said().count("error: ") == 1
    assert server.said().count("hint: ") == 1
    assert wrong.removeprefix("s3://").partition("/")[0] in server.said()
