"""A file as blocks of whole text lines: plain, zip or gzip, never more than one block in memory. Knows nothing of columns."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from wattcast.errors import BadMeterFile

BLOCK_BYTES = 8 << 20
_LONGEST_LINE = 1 << 20
_TEXT_SUFFIXES = (".csv", ".txt", ".tsv", ".dat")
_BOM = b"\xef\xbb\xbf"
_CONTROL = bytes(set(range(32)) - {9, 10, 12, 13})


@dataclass(frozen=True)
class Block:
    """Whole lines of a file; `first_line` is the number of the first of them, counted from 1 in the decompressed file."""

    first_line: int
    data: bytes


def text_blocks(path: Path, max_bytes: int) -> Iterator[Block]:
    """The lines of the text in `path`, in blocks. Raises BadMeterFile for what is missing, torn, not text, or larger than max_bytes."""
    try:
        with ExitStack() as stack:
            yield from _blocks(_opened(path, max_bytes, stack), path, max_bytes)
    except FileNotFoundError:
        raise BadMeterFile(f"{path}: there is no such file", "check the path") from None
    except IsADirectoryError:
        raise BadMeterFile(f"{path} is a folder", "name the meter file inside it") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile, NotImplementedError) as cause:
        raise BadMeterFile(f"{path}: the archive is damaged ({cause})", "fetch or pack it again") from None
    except OSError as cause:
        raise BadMeterFile(f"{path} cannot be read ({cause.strerror or cause})", "check its permissions and the disk") from None


def _blocks(stream: IO[bytes], path: Path, max_bytes: int) -> Iterator[Block]:
    line, total, rest = 1, 0, b""
    while chunk := stream.read(BLOCK_BYTES):
        if total == 0:
            _refuse_what_is_not_text(chunk, path)
            chunk = chunk.removeprefix(_BOM)
        total += len(chunk)
        if total > max_bytes:
            raise too_large(path, max_bytes)
        data, newline, rest = (rest + chunk).rpartition(b"\n")
        lines = data.count(b"\n") + len(newline)
        if len(rest) > _LONGEST_LINE:
            message = f"{path}, line {line + lines}: no end of line within {_LONGEST_LINE:,} bytes"
            raise BadMeterFile(message, "give a text file with one reading per line")
        if newline:
            yield Block(line, data + newline)
            line += lines
    if rest:
        yield Block(line, rest + b"\n")


def _opened(path: Path, max_bytes: int, stack: ExitStack) -> IO[bytes]:
    plain = stack.enter_context(path.open("rb"))
    magic = plain.read(4)
    plain.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return cast("IO[bytes]", stack.enter_context(gzip.open(plain)))
    if magic[:2] != b"PK":
        return plain
    archive = stack.enter_context(zipfile.ZipFile(plain))
    member = _only_text(archive, path)
    if member.flag_bits & 1:
        raise BadMeterFile(f"{path}: {member.filename} is encrypted", "unpack it with its password first")
    if member.file_size > max_bytes:
        raise too_large(path, max_bytes)
    return stack.enter_context(archive.open(member))


def _only_text(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    texts = [
        member
        for member in archive.infolist()
        if member.filename.lower().endswith(_TEXT_SUFFIXES) and not member.filename.startswith("__MACOSX/") and _visible(member.filename)
    ]
    if not texts:
        raise BadMeterFile(f"{path}: the zip holds no .csv or .txt file", "pack the meter's text file; save a spreadsheet as CSV")
    if len(texts) > 1:
        names = ", ".join(member.filename for member in texts[:4])
        raise BadMeterFile(f"{path}: the zip holds {len(texts)} text files ({names})", "unpack it and give one of them")
    return texts[0]


def _visible(name: str) -> bool:
    return not PurePosixPath(name).name.startswith(".")


def _refuse_what_is_not_text(start: bytes, path: Path) -> None:
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") or _every_second_byte_is_zero(start[:200]):
        raise BadMeterFile(f"{path}: the text is UTF-16", "save the file as UTF-8")
    sample = start[:65_536]
    if b"\0" in sample or len(sample) - len(sample.translate(None, _CONTROL)) > len(sample) // 100:
        raise BadMeterFile(f"{path}: this is a binary file, not text", "give the meter's CSV or text file, or a zip or gz of it")


def _every_second_byte_is_zero(start: bytes) -> bool:
    return len(start) > 3 and (not any(start[1::2]) or not any(start[::2])) and any(start)


def too_large(path: Path, max_bytes: int) -> BadMeterFile:
    """The refusal of a file that holds more than is read."""
    return BadMeterFile(f"{path}: more than {max_bytes / 1e9:g} GB when decompressed", "cut it into shorter spans, or take out columns")
