"""`wattcast remote`: what one folder pushed, a fresh clone pulls from a real S3 server, and nothing is trained again."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from small_project import environment, in_process, wattcast

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_EC2_METADATA_DISABLED": "true"}
WHO = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An S3 server on loopback that holds an empty bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    urllib.request.urlopen(urllib.request.Request(f"http://{host}:{port}/bucket", method="PUT")).close()
    yield f"http://{host}:{port}"
    server.stop()


def told(folder: Path, *words: str) -> str:
    """What a command says in this folder; it has to succeed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(words, cwd=folder, env=environment(**CREDENTIALS, PATH=path), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def dvc(folder: Path, *words: str) -> str:
    """What DVC says to these words."""
    return told(folder, sys.executable, "-m", "dvc", *words)


def point(folder: Path, url: str, endpoint: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Have the folder's DVC use this bucket."""
    return wattcast(folder, "remote", url, "--endpoint", endpoint, **(CREDENTIALS | variables))


def bundles(folder: Path) -> dict[str, str]:
    """The SHA-256 of every trained bundle."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "models").rglob("*.wattcast")
    }


def test_a_clone_pulls_what_was_pushed_and_trains_nothing(copy: Path, tmp_path: Path, endpoint: str) -> None:
    """Push, clone, pull, run: the same bundles, meters registered from them, nothing for git; and training anew gives the same bytes."""
    answered = point(copy, "s3://bucket/prefix", endpoint)
    assert answered.returncode == 0, answered.stderr
    assert "DVC pushes to it and pulls from it" in answered.stdout
    assert "files pushed" in dvc(copy, "push")
    told(copy, "git", "add", "--all")
    told(copy, "git", *WHO, "commit", "--quiet", "--message", "a run")
    assert told(copy, "git", "status", "--short") == ""

    clone = tmp_path / "clone"
    told(tmp_path, "git", "clone", "--quiet", str(copy), str(clone))
    assert not (clone / "models").exists()
    point(clone, "s3://bucket/prefix/", endpoint)
    dvc(clone, "pull")
    assert bundles(clone) == bundles(copy) != {}
    assert (clone / "data/raw/hours.csv").read_bytes() == (copy / "data/raw/hours.csv").read_bytes()
    ran = wattcast(clone, "pipeline")
    assert ran.returncode == 0
    assert "nothing has changed: models and scores stand" in ran.stdout
    assert "registered meter hours" in ran.stdout
    assert ran.stderr == ""
    assert told(clone, "git", "status", "--short") == ""

    dvc(clone, "repro", "--force")
    assert bundles(clone) == bundles(copy)
    assert told(clone, "git", "status", "--short", "metrics") == ""


def test_another_house_that_was_not_pulled_stops_nothing(copy: Path) -> None:
    """Of two houses one has only its .dvc file here: the other's pipeline runs as before."""
    (copy / "data/raw/minutes.csv").unlink()
    shutil.rmtree(copy / "store")
    ran = wattcast(copy, "pipeline")
    assert ran.returncode == 0, ran.stderr
    assert "registered meter hours" in ran.stdout


@pytest.mark.parametrize(
    ("url", "server", "without", "words"),
    [
        (
            "s3://no-such-bucket/prefix",
            "",
            "",
            "s3://no-such-bucket/prefix does not answer, and nothing was changed: The specified",
        ),
        ("s3://bucket/prefix", "http://127.0.0.1:9", "", "Could not connect to the endpoint URL"),
        ("s3://bucket/prefix", "", "AWS_", "Unable to locate credentials"),
    ],
)
def test_a_bucket_that_does_not_answer_is_said_and_nothing_noted(
    copy: Path, endpoint: str, url: str, server: str, without: str, words: str
) -> None:
    """A wrong bucket, a server that is not there, no credentials: one error with a hint, and DVC's configuration as it was."""
    variables = dict.fromkeys(CREDENTIALS, "") | {"HOME": str(copy), "AWS_EC2_METADATA_DISABLED": "true"} if without else {}
    refused = point(copy, url, server or endpoint, **variables)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: ")
    assert words in refused.stderr
    assert "hint: check bucket, S3_ENDPOINT and credentials" in refused.stderr
    assert refused.stderr.count("\n") == 2
    assert not (copy / ".dvc/config.local").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([""], 'S3_URL: "" names no bucket'),
        (["bucket/prefix"], 'S3_URL: "bucket/prefix" names no bucket'),
        (["s3://Bucket"], 'S3_URL: "s3://Bucket" names no bucket'),
        (["s3://bucket/../other"], "names no bucket"),
        (["s3://bucket/a b"], "names no bucket"),
        (["s3://bucket", "--endpoint", "localhost:9000"], 'S3_ENDPOINT: "localhost:9000" is no address of a server'),
        (["s3://bucket", "--endpoint", "http://host:port"], "is no address of a server"),
    ],
)
def test_words_that_name_no_bucket_are_refused(copy: Path, words: list[str], said: str) -> None:
    """What cannot be a bucket or a server is said with an example."""
    refused = in_process(copy, "remote", *words)
    assert refused.returncode == 1
    assert said in refused.stderr
    assert "hint: write " in refused.stderr


def test_git_does_not_see_where_the_remote_is(copy: Path) -> None:
    """The address of a bucket is each clone's own."""
    assert os.fspath(copy / ".dvc/config.local") in told(copy, "git", "check-ignore", str(copy / ".dvc/config.local"))
