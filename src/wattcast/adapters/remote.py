"""DVC's remote: the bucket that meter files, processed tables and models are pushed to and pulled from."""

from __future__ import annotations

import re
from importlib.util import find_spec
from urllib.parse import urlsplit

from wattcast.adapters import dvc
from wattcast.errors import BadParams, Unavailable

_S3 = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w.!*'()=+@-]+)*/?", re.ASCII)


def set_remote(url: str, endpoint: str = "") -> None:
    """Have `dvc push` and `dvc pull` use this bucket, once it answers; noted in .dvc/config.local, which git does not see.

    endpoint: URL of an S3 server other than Amazon's. Raises BadParams for words that are no such URLs, Unavailable where the bucket
    does not answer or what speaks to it is not installed; then nothing was changed.
    """
    if not _S3.fullmatch(url) or "/./" in f"{url}/" or "/../" in f"{url}/":
        raise BadParams(f'S3_URL: "{url}" names no bucket', "write s3://bucket/prefix: make remote S3_URL=s3://my-bucket/wattcast")
    if endpoint and not _is_server(endpoint):
        raise BadParams(f'S3_ENDPOINT: "{endpoint}" is no address of a server', "write https://HOST or http://HOST:PORT, or leave it out")
    if find_spec("dvc_s3") is None:
        raise Unavailable("what DVC speaks to S3 with is not installed", f"make remote S3_URL={url} installs it")
    dvc.set_remote(url.rstrip("/"), endpoint.rstrip("/"))


def _is_server(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return False
    return bool(whole) and parts.path in ("", "/") and not parts.query
