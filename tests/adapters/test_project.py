"""The project's folder: files brought in and replaced whole, one line of params.yaml changed and nothing beside it."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from small_project import make_project

from wattcast.adapters import project
from wattcast.config import meter_id_of
from wattcast.errors import BadParams, Unavailable
from wattcast.meter.readers.parquet import as_parquet
from wattcast.meter.table import Meter


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that we work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("before", "file", "after"),
    [
        ("# a\nmeter:\n  file: x.txt   # b\nseed: 1\n", "data/raw/y.csv", "# a\nmeter:\n  file: data/raw/y.csv   # b\nseed: 1\n"),
        ("meter:\r\n  file: 'x y.txt'\r\n", "z.csv", "meter:\r\n  file: z.csv\r\n"),
        ("a: {file: 1}\nmeter: {file: x.txt, other: 2}\n", "z.csv", "a: {file: 1}\nmeter: {file: z.csv, other: 2}\n"),
        ("meter:\n  file: x.txt\n", "data/raw/my house: é.csv", 'meter:\n  file: "data/raw/my house: é.csv"\n'),
        ("meter:\n  # the file\n\n  file: x.txt", "z.csv", "meter:\n  # the file\n\n  file: z.csv"),
    ],
)
def test_choosing_changes_one_value_and_nothing_beside_it(before: str, file: str, after: str, folder: Path) -> None:
    """Comments, order, line ends and every other byte stay; a name that needs quotes gets them."""
    (folder / "params.yaml").write_bytes(before.encode())
    said: list[str] = []
    project.choose(Path(file), said.append)
    assert (folder / "params.yaml").read_bytes() == after.encode()
    assert len(said) == 1
    assert "goes back" in said[0]


def test_choosing_what_is_chosen_does_nothing(folder: Path) -> None:
    """No write, no word."""
    (folder / "params.yaml").write_text("meter:\n  file: x.txt\n")
    (folder / "params.yaml").chmod(0o400)
    project.choose(Path("x.txt"), pytest.fail)


@pytest.mark.parametrize("text", ["seed: 1\n", "meter: x\n", "meter: {fil: x}\n", ": [", ""])
def test_without_the_line_choosing_is_refused(text: str, folder: Path) -> None:
    """A params.yaml that names no meter file is not guessed at."""
    (folder / "params.yaml").write_text(text)
    with pytest.raises(BadParams, match=r"meter\.file"):
        project.choose(Path("x.txt"), pytest.fail)
    assert (folder / "params.yaml").read_text() == text


def test_a_file_is_brought_in_once_and_a_newer_one_replaces_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copied, tracked, said; again: nothing; a longer export of the same name: replaced, said, tracked anew."""
    folder = make_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    export = tmp_path / "house.csv"
    target = Path("data/raw/house.csv")
    said: list[str] = []
    export.write_text("time,power_kw\n")
    assert not project.has(export)
    assert project.bring_in(export, said.append) == target
    assert project.has(export)
    assert [line.split()[0] for line in said] == ["copying", "data/raw/house.csv"]
    first = (folder / "data/raw/house.csv.dvc").read_text()
    project.bring_in(export, pytest.fail)
    project.bring_in(target, pytest.fail)
    export.write_text("time,power_kw\n2024-01-01T00:00,1\n")
    project.bring_in(export, said.append)
    assert said[2].startswith("replacing data/raw/house.csv by ")
    assert target.read_bytes() == export.read_bytes()
    assert (folder / "data/raw/house.csv.dvc").read_text() != first
    assert sorted(path.name for path in target.parent.iterdir()) == ["house.csv", "house.csv.dvc"]


def test_what_dvc_has_no_copy_of_is_never_replaced(folder: Path) -> None:
    """A file that somebody put there by hand stays, and the newcomer is refused."""
    (folder / "data/raw").mkdir(parents=True)
    (folder / "data/raw/house.csv").write_text("by hand")
    (folder / "house.csv").write_text("another")
    with pytest.raises(Unavailable, match="DVC has no copy of it"):
        project.bring_in(folder / "house.csv", pytest.fail)
    assert (folder / "data/raw/house.csv").read_text() == "by hand"


def test_a_copy_that_fails_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full while the file is copied: one error with a hint, no half file."""

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (folder / "house.csv").write_text("readings")
    monkeypatch.setattr("wattcast.adapters.project.os.fsync", full)
    with pytest.raises(Unavailable, match="No space left on device") as refusal:
        project.bring_in(folder / "house.csv", lambda _: None)
    assert "free some space" in refusal.value.hint
    assert list((folder / "data/raw").iterdir()) == []


@pytest.mark.parametrize(("there", "new"), [("my_house.csv", "My House.txt"), ("house.csv.dvc", "house.csv.gz"), ("a.zip", "a.txt")])
def test_a_file_whose_meter_is_there_under_another_name_is_refused(there: str, new: str, folder: Path) -> None:
    """Two names that give one id would have the second house replace the first one's models."""
    (folder / "data/raw").mkdir(parents=True)
    (folder / "data/raw" / there).touch()
    with pytest.raises(Unavailable, match=r"is meter .* already") as refusal:
        project.refuse_twin(folder / new)
    assert "another name" in refusal.value.hint
    project.refuse_twin(folder / there.removesuffix(".dvc"))


def test_what_was_exported_for_a_meter_goes_on_from_its_file(folder: Path) -> None:
    """A file and the export of the same meter are one house, whichever is run; Parquet of others of that name is another one."""
    raw = Path("data/raw")
    raw.mkdir(parents=True)
    for name in ("house.csv", "house.csv.dvc"):
        (raw / name).touch()
    export = raw / "house.parquet"
    export.write_bytes(as_parquet(tiny.hour_table(2)))
    assert project.meter_of(export) == "house"
    export.write_bytes(as_parquet(replace(tiny.hour_table(2), meter=Meter("my_house"))))
    assert project.meter_of(export) == "my_house"
    export.write_bytes(as_parquet(tiny.hour_table(2)))
    project.refuse_twin(raw / "house.csv")
    project.refuse_twin(export)
    assert project.files_of("house") == [raw / "house.csv", export]
    export.rename(folder / export.name)
    with pytest.raises(Unavailable, match=r"house\.csv is meter house already"):
        project.refuse_twin(folder / export.name)
    (folder / export.name).unlink()
    export.write_bytes(b"PAR2")
    with pytest.raises(Unavailable, match=r"house\.parquet is meter house already"):
        project.refuse_twin(raw / "house.csv")


def test_names_without_a_latin_letter_give_different_meters() -> None:
    """They share no letter that an id may have, and still are two houses."""
    one, other = (meter_id_of(Path(name)) for name in ("\u5bb6.csv", "\u0434\u043e\u043c.csv"))
    assert one != other
    assert one.startswith("meter-")
