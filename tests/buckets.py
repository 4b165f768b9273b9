"""A server that speaks as S3 does, on loopback: moto's. It takes one request at a time, so that a condition and its write are one."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from wattcast.adapters.s3 import S3Blobs

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests"}
# Nothing of this machine says who is asking, and nobody beyond it is asked.
BARE = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 (werkzeug's name)
        pass


@contextmanager
def serving(port: int = 0) -> Iterator[str]:
    """The address of a server. What is in its buckets outlives it, for as long as the process does."""
    server = make_server("127.0.0.1", port, DomainDispatcherApplication(create_backend_app), request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def new_bucket(endpoint: str) -> str:
    """The URL of a folder in an empty bucket."""
    name = f"b{uuid.uuid4().hex}"
    client = boto3.session.Session().client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket=name)
    client.close()
    return f"s3://{name}/store"


def bundle_name(data: bytes) -> str:
    """What a bundle of these bytes is called."""
    return f"bundles/{hashlib.sha256(data).hexdigest()}.wattcast"


class Far:
    """A server that can be away and come back, with a bucket, and connections to it."""

    def __init__(self) -> None:
        self._running = ExitStack()
        self.endpoint = self._running.enter_context(serving())
        self.url = new_bucket(self.endpoint)
        self.blobs = S3Blobs(self.url, endpoint=self.endpoint)

    def leave(self) -> None:
        self._running.close()

    def come_back(self) -> None:
        self._running.enter_context(serving(urlsplit(self.endpoint).port or 0))
