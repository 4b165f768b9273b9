"""A bucket of S3, or of a service that speaks as S3 does, as a place of bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, TypeVar

from wattcast.adapters.files import changed_in_between, is_blob_name, whole_name
from wattcast.errors import BadParams, NotFound, RegistryConflict, Unavailable, WattcastError
from wattcast.ports import Blob, Entry

_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9_=-][A-Za-z0-9_.=-]*)*)/?")
_CONNECT_S, _READ_S, _ATTEMPTS = 2, 5, 3
_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role"
_NETWORK = "check the network, AWS_REGION and WATTCAST_S3_ENDPOINT, then try again"
_BUCKET = "check WATTCAST_S3, AWS_REGION and WATTCAST_S3_ENDPOINT, or make the bucket"
_RIGHTS = "allow s3:GetObject, s3:PutObject, s3:DeleteObject on its keys, and s3:ListBucket (without it, a missing key is a forbidden one)"
_MISSING = ("NoSuchKey", "404")
_CONFLICTS = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")
_HINTS = {
    "NoSuchBucket": _BUCKET,
    "PermanentRedirect": _BUCKET,
    "AccessDenied": _RIGHTS,
    "403": _RIGHTS,
    "InvalidAccessKeyId": _CREDENTIALS,
    "SignatureDoesNotMatch": _CREDENTIALS,
    "ExpiredToken": "get new credentials: these have expired",
    "RequestTimeTooSkewed": "set the clock of this machine",
}
_T = TypeVar("_T")


class S3Blobs:
    """Blobs as objects below s3://bucket/prefix. The version of a blob is its ETag.

    A place that does not answer is asked three times with growing pauses. What a swap wrote, and Unavailable was raised for, may be there.
    """

    def __init__(self, url: str, *, endpoint: str = "", region: str = "") -> None:
        parts = _URL.fullmatch(url)
        if parts is None:
            raise BadParams(f'WATTCAST_S3="{url}" names no bucket', "write s3://BUCKET or s3://BUCKET/FOLDER")
        if endpoint and not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?", endpoint):
            raise BadParams(f'WATTCAST_S3_ENDPOINT="{endpoint}" is no address', "write https://HOST or http://HOST:PORT")
        self._bucket, self._prefix = parts[1], f"{parts[2][1:]}/" if parts[2] else ""
        self._endpoint, self._region = endpoint, region

    def get(self, name: str) -> Blob:
        """What is kept under the name. Raises NotFound, Unavailable."""

        def read() -> Blob:
            there = self._client.get_object(**self._at(name))
            return Blob(there["Body"].read(), there["ETag"])

        return self._asked(name, read)

    def version(self, name: str) -> str:
        """The version of what is kept under the name, empty where nothing is."""
        try:
            return self._asked(name, lambda: str(self._client.head_object(**self._at(name))["ETag"]))
        except NotFound:
            # The answer to HEAD does not tell a missing key from a missing bucket.
            there = self._there(name)
            return there.version if there else ""

    def put(self, name: str, data: bytes) -> None:
        """Keep these bytes, whatever was there before."""
        self._asked(name, lambda: self._client.put_object(**self._at(name), Body=data))

    def swap(self, name: str, data: bytes, version: str) -> str:
        """Replace what is there if it still has this version; the new version. Raises RegistryConflict."""
        change = self._at(name) | ({"IfMatch": version} if version else {"IfNoneMatch": "*"})
        try:
            return self._asked(name, lambda: str(self._client.put_object(**change, Body=data)["ETag"]))
        except NotFound:
            raise changed_in_between(name) from None
        except RegistryConflict as conflict:
            # What the second attempt met may be what the first one wrote, whose answer was lost.
            if _repeated(conflict) and (there := self._there(name)) is not None and there.data == data:
                return there.version
            raise

    def entries(self, prefix: str) -> Iterator[Entry]:
        """Every object whose name begins so."""
        pages = self._asked(prefix, lambda: self._client.get_paginator("list_objects_v2"))
        found = iter(pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix))
        while (page := self._asked(prefix, lambda: next(found, None))) is not None:
            for there in page.get("Contents", ()):
                name = there["Key"].removeprefix(self._prefix)
                if is_blob_name(name):
                    yield Entry(name, there["Size"], there["LastModified"].timestamp())

    def delete(self, name: str) -> None:
        """Have no object of this name."""
        self._asked(name, lambda: self._client.delete_object(**self._at(name)))

    @cached_property
    def _client(self) -> Any:
        import boto3  # noqa: PLC0415 (whoever has no bucket does without)
        from botocore.config import Config  # noqa: PLC0415

        retries = {"mode": "standard", "total_max_attempts": _ATTEMPTS}
        config = Config(connect_timeout=_CONNECT_S, read_timeout=_READ_S, retries=retries)
        # A session of its own: the one that boto3 shares is not for threads.
        session = boto3.session.Session()
        return session.client("s3", endpoint_url=self._endpoint or None, region_name=self._region or None, config=config)

    def _at(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + whole_name(name)}

    def _there(self, name: str) -> Blob | None:
        try:
            return self.get(name)
        except NotFound:
            return None

    def _asked(self, name: str, question: Callable[[], _T]) -> _T:
        """The answer. Raises NotFound, RegistryConflict, Unavailable: whatever the bucket and the way to it can refuse with."""
        try:
            from botocore import exceptions as own  # noqa: PLC0415 (as boto3)
        except ModuleNotFoundError as cause:
            raise Unavailable("a bucket needs boto3, which is not installed", "install wattcast[aws]") from cause
        where = f"s3://{self._bucket}/{self._prefix}{name}"
        try:
            return question()
        except own.ClientError as cause:
            raise _refusal(where, name, cause.response["Error"]) from cause
        except (own.NoCredentialsError, own.PartialCredentialsError, own.CredentialRetrievalError, own.ProfileNotFound) as cause:
            raise Unavailable(f"{where} cannot be asked for: {cause}", _CREDENTIALS) from cause
        except own.BotoCoreError as cause:
            raise Unavailable(f"{where} cannot be reached: {cause}", _NETWORK) from cause
        except (LookupError, RecursionError) as cause:
            # A page of a proxy, or redirections without end: something else than S3 answers.
            raise Unavailable(f"{where} is answered by something that is no S3 ({cause!r:.100})", _NETWORK) from cause


def _refusal(where: str, name: str, said: dict[str, str]) -> WattcastError:
    code = said.get("Code", "")
    if code in _MISSING:
        return NotFound(f"{where} is not there", "check WATTCAST_S3")
    if code in _CONFLICTS:
        return changed_in_between(name)
    return Unavailable(f"{where} is refused: {said.get('Message', '')} ({code})", _HINTS.get(code, "try again in a while"))


def _repeated(conflict: RegistryConflict) -> bool:
    """Whether the request that ended in this conflict was an attempt after another."""
    answer: dict[str, Any] = getattr(conflict.__cause__, "response", {})
    return bool(answer.get("ResponseMetadata", {}).get("RetryAttempts"))
