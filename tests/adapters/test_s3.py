"""A bucket as a place of bytes: whatever it, or the way to it, refuses with is one error that says where, and what helps."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest

from wattcast.adapters.files import FileBlobs
from wattcast.adapters.mirror import Mirrored
from wattcast.adapters.s3 import S3Blobs
from wattcast.adapters.wiring import blobs
from wattcast.config import Settings
from wattcast.errors import BadParams, NotFound, RegistryConflict, Unavailable
from wattcast.ports import Blobs


def every_use(there: Blobs) -> list[Unavailable]:
    """What each method is refused with, Unavailable all of them."""
    refusals = []
    for use in (
        lambda: there.get("serving.json"),
        lambda: there.version("serving.json"),
        lambda: there.put("serving.json", b"x"),
        lambda: there.swap("serving.json", b"x", ""),
        lambda: there.swap("serving.json", b"x", "a"),
        lambda: list(there.entries("serving.json")),
        lambda: there.delete("serving.json"),
    ):
        with pytest.raises(Unavailable) as refusal:
            use()
        refusals.append(refusal.value)
    return refusals


def test_a_bucket_that_is_not_there(s3_server: str, s3_asker: None) -> None:
    """No method takes a missing bucket for a missing key."""
    for refusal in every_use(S3Blobs("s3://nobodys", endpoint=s3_server)):
        assert "s3://nobodys/serving.json" in refusal.message
        assert "NoSuchBucket" in refusal.message
        assert "make the bucket" in refusal.hint


def test_nobody_who_asks(bucket: str, s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials, or with a profile that is not there, the hint says where they come from."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    for said in ("Unable to locate credentials", "profile (nobody) could not be found"):
        for refusal in every_use(S3Blobs(bucket, endpoint=s3_server)):
            assert f"{bucket}/serving.json" in refusal.message
            assert said in refusal.message
            assert "AWS_ACCESS_KEY_ID" in refusal.hint
        monkeypatch.setenv("AWS_PROFILE", "nobody")


def test_nobody_who_answers(s3_asker: None) -> None:
    """An address where nobody listens is refused in words, after a few attempts."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        [refusal, *_] = every_use(S3Blobs("s3://models", endpoint=endpoint))
    assert "s3://models/serving.json" in refusal.message
    assert endpoint in refusal.message
    assert "check the network" in refusal.hint


@contextmanager
def refusing(code: str, status: int) -> Iterator[str]:
    """A server that refuses every request with one of S3's errors."""

    class Refusal(BaseHTTPRequestHandler):
        def refuse(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = f"<Error><Code>{code}</Code><Message>No.</Message></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_DELETE = refuse  # noqa: N815 (the library's names)

        def log_message(self, *_: object) -> None:
            pass

    with served_by(Refusal) as endpoint:
        yield endpoint


@contextmanager
def served_by(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server of our own."""
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("code", "status", "hint"),
    [
        ("AccessDenied", 403, "s3:ListBucket"),
        ("InvalidAccessKeyId", 403, "AWS_ACCESS_KEY_ID"),
        ("ExpiredToken", 400, "expired"),
        ("SlowDown", 503, "try again"),
    ],
)
def test_a_bucket_that_refuses(s3_asker: None, code: str, status: int, hint: str) -> None:
    """Each refusal has the hint that helps, and none is taken for a missing key or a lost race."""
    with refusing(code, status) as endpoint:
        there = S3Blobs("s3://models/house", endpoint=endpoint)
        for use in (lambda: there.get("serving.json"), lambda: there.swap("serving.json", b"x", "")):
            with pytest.raises(Unavailable, match=f"s3://models/house/serving.json is refused: .*{code}") as refusal:
                use()
            assert hint in refusal.value.hint
        with pytest.raises(Unavailable):
            there.version("serving.json")


def test_a_conflict_while_another_writes(s3_asker: None) -> None:
    """S3 refuses one of two conditional writes at the same time with another code than that of a lost race: it is one."""
    with refusing("ConditionalRequestConflict", 409) as endpoint, pytest.raises(RegistryConflict, match="someone else in between"):
        S3Blobs("s3://models", endpoint=endpoint).swap("serving.json", b"x", "")


def test_a_swap_whose_answer_was_lost_is_done(bucket: str, s3_server: str) -> None:
    """The bucket takes the write and the line breaks: the next attempt meets its own bytes, and that is no lost race."""
    lost: list[str] = []

    class Breaking(BaseHTTPRequestHandler):
        """Hands every request on; of a PUT the first answer is lost."""

        def hand_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with closing(http.client.HTTPConnection(urlsplit(s3_server).netloc)) as onward:
                onward.request(self.command, self.path, body, dict(self.headers))
                answer = onward.getresponse()
                data = answer.read()
            if self.command == "PUT" and not lost:
                lost.append(self.path)
                return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_HEAD = hand_on  # noqa: N815 (the library's names)

        def log_message(self, *_: object) -> None:
            pass

    with served_by(Breaking) as endpoint:
        there = S3Blobs(bucket, endpoint=endpoint)
        version = there.swap("serving.json", b"1", "")
        assert len(lost) == 1
        assert there.get("serving.json").version == version
        lost.clear()
        S3Blobs(bucket, endpoint=s3_server).put("serving.json", b"2")
        with pytest.raises(RegistryConflict):
            there.swap("serving.json", b"3", version)
        assert there.get("serving.json").data == b"2"


def test_what_others_keep_in_the_bucket_is_not_ours(bucket: str, s3_server: str) -> None:
    """Objects beside the folder, and those of no name of ours, are in no listing."""
    parts = urlsplit(bucket)
    client = boto3.session.Session().client("s3", endpoint_url=s3_server, region_name="us-east-1")
    for key in ("store/records/", "store/Read me.txt", "store2/records/1.json", "serving.json"):
        client.put_object(Bucket=parts.netloc, Key=key, Body=b"x")
    there = S3Blobs(bucket, endpoint=s3_server)
    there.put("records/1.json", b"{}")
    assert [entry.name for entry in there.entries("")] == ["records/1.json"]
    with pytest.raises(NotFound):
        there.get("serving.json")
    assert S3Blobs(f"s3://{parts.netloc}/", endpoint=s3_server).get("serving.json").data == b"x"


@pytest.mark.parametrize(
    "url", ["models", "s3:models", "https://models", "s3://", "s3://models/../b", "s3://Models", "s3://models//a", "s3://models/a b"]
)
def test_what_names_no_bucket_is_refused(tmp_path: Path, url: str) -> None:
    """A URL that cannot be is refused by the name of its variable, before anything is opened."""
    with pytest.raises(BadParams, match=r"WATTCAST_S3=.* names no bucket"):
        blobs(Settings(store=tmp_path, s3=url))


@pytest.mark.parametrize("address", ["localhost:9000", "ftp://localhost", "http://a b", "https://host/path", "http://"])
def test_what_is_no_address_is_refused(tmp_path: Path, address: str) -> None:
    """So is an address of the service."""
    with pytest.raises(BadParams, match=r"WATTCAST_S3_ENDPOINT=.* is no address"):
        blobs(Settings(store=tmp_path, s3="s3://models", s3_endpoint=address))


def test_the_settings_choose_the_place(bucket: str, s3_server: str, tmp_path: Path) -> None:
    """The folder alone, or the bucket with copies in the folder; the region is the one that is set."""
    assert isinstance(blobs(Settings(store=tmp_path)), FileBlobs)
    chosen = blobs(Settings(store=tmp_path, s3=bucket, s3_endpoint=s3_server, region="eu-west-1"))
    assert isinstance(chosen, Mirrored)
    chosen.put("serving.json", b"{}")
    assert next(tmp_path.glob("mirror/*/serving.json")).read_bytes() == b"{}"
    assert S3Blobs(bucket, endpoint=s3_server).get("serving.json").data == b"{}"
    with pytest.raises(Unavailable, match="eu west"):
        blobs(Settings(store=tmp_path / "other", s3=bucket, s3_endpoint=s3_server, region="eu west")).get("serving.json")


def test_whoever_has_no_bucket_needs_no_boto3(tmp_path: Path) -> None:
    """A folder is connected to without it; a bucket says what to install."""
    code = """
import sys
sys.modules["boto3"] = sys.modules["botocore"] = None
from wattcast.adapters.wiring import blobs
from wattcast.config import Settings
blobs(Settings()).put("serving.json", b"{}")
try:
    blobs(Settings(s3="s3://models")).get("records/1.json")
except Exception as refusal:
    print(refusal, refusal.hint)
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WATTCAST_")}
    said = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    assert said == "a bucket needs boto3, which is not installed install wattcast[aws]\n"
