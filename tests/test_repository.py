"""What holds for the repository itself: what git tracks, what is pinned, what make offers."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))
# Each is written so that this file does not match itself.
FORBIDDEN = {
    "a package index": r"https?://[^\s\"'<>]*/simple\b|python[h]osted\.org|(?:extra-)?index[-_]url\s*[=:]?\s*https?://|find[-_]links\s*[=:]?\s*https?://",
    "a private key": r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE [K]EY",
    "a cloud key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
}
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "jsonpickle"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that is in git or would be added: what `.gitignore` leaves."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout
    return tuple(path for name in listing.split("\0") if name and (path := ROOT / name).is_file())


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_tracked_file_holds(what: str) -> None:
    """No file in git holds a package index's address or a key."""
    found = [path for path in tracked() if re.search(FORBIDDEN[what], path.read_text("utf-8", "ignore"))]
    assert found == []


def test_no_tracked_file_names_the_index_of_this_machine() -> None:
    """The index that this machine installs from, where one is configured, is named in no file."""
    addresses = " ".join(os.environ.get(name, "") for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"))
    hosts = {host for address in addresses.split() if (host := urlsplit(address).hostname)} - {"localhost", "127.0.0.1"}
    found = [(host, path) for host in hosts for path in tracked() if host in path.read_text("utf-8", "ignore")]
    assert found == []


def test_no_tracked_file_is_large() -> None:
    """Data and models live in DVC: nothing over 5 MB is in git."""
    assert [path for path in tracked() if path.stat().st_size > 5_000_000] == []


def test_requirements_are_there() -> None:
    """Serving, running, running with a bucket, developing, the installer itself and what we are measured against each have their pins."""
    assert [path.name for path in REQUIREMENTS] == ["dev.txt", "remote.txt", "rivals.txt", "run.txt", "serve.txt", "uv.txt"]


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_original_fault_3_requirements_are_utf8_pinned_and_hashed(path: Path) -> None:
    """Every line of the requirements is UTF-8 and one exact version with hashes (the original's were UTF-16 and unpinned)."""
    text = path.read_bytes().decode("ascii")
    requirements = re.sub(r"#.*", "", text).replace("\\\n", " ").splitlines()
    lines = [line.strip() for line in requirements if line.strip()]
    pinned = re.compile(r"[a-z0-9.-]+==[^\s;]+( ; [^\\]+?)?(\s+--hash=sha256:[0-9a-f]{64})+")
    assert lines
    assert [line for line in lines if not pinned.fullmatch(line)] == []


@pytest.mark.parametrize("name", ["remote.txt", "run.txt", "serve.txt"])
def test_every_environment_has_the_same_versions(name: str) -> None:
    """What is tested is what runs: serving and running install the versions that development has."""
    pins = {path.name: set(re.findall(r"(?m)^[a-z0-9.-]+==[^\\\n]+", path.read_text("ascii"))) for path in REQUIREMENTS}
    versions = {name: {pin.split(";")[0].strip() for pin in found} for name, found in pins.items()}
    assert versions[name] - versions["dev.txt"] == set()


def test_serving_installs_no_training_library() -> None:
    """The serving requirements hold nothing that only trains, tracks or plots."""
    names = set(re.findall(r"(?m)^([a-z0-9.-]+)==", (ROOT / "requirements" / "serve.txt").read_text("ascii")))
    assert names & {"dvc", "lightgbm", "matplotlib", "mlflow", "onnx", "pandas", "scikit-learn", "scipy", "xgboost", "xgboost-cpu"} == set()


def test_make_help_lists_every_target() -> None:
    """`make help` has a line for everything that make can be asked for."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"(?m)^([a-z][a-z-]*):(?!=)", makefile))
    help_text = subprocess.run(["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    assert {"setup", "run", "remote", "test", "test-system", "lint", "lock", "data", "bench-pipeline", "clean", "help"} <= targets
    assert set(re.findall(r"(?m)^  make ([a-z-]+) +\S", help_text)) == targets


def test_make_run_takes_the_file_of_params() -> None:
    """A clone of somebody's run goes on with their meter: only DATA names another file."""
    recipes = {data: re.search(r"(?m)^exec .*wattcast run.*$", make_run(data)) for data in ("", "DATA=mine.csv")}
    said = {
        data: subprocess.run(
            ["sh", "-c", found[0].replace("exec .venv/bin/wattcast", "echo")],
            capture_output=True,
            text=True,
            check=True,
            env={"PATH": os.environ["PATH"]} | ({"DATA": "mine.csv"} if data else {}),
        ).stdout
        for data, found in recipes.items()
        if found
    }
    assert said == {"": "run\n", "DATA=mine.csv": "run --data mine.csv\n"}


def make_run(data: str) -> str:
    """What `make run` would do."""
    words = ["make", "--no-print-directory", "--dry-run", "run", *([data] if data else [])]
    return subprocess.run(words, cwd=ROOT, capture_output=True, check=True, text=True).stdout


def test_an_unusable_python_is_one_sentence(tmp_path: Path) -> None:
    """Where Python is out of range, or lacks ensurepip, one sentence says what to install."""
    for name, code, sentence in [("old", 3, "needs Python 3.11 to 3.13"), ("bare", 4, "needs Python's ensurepip")]:
        python = tmp_path / name
        python.write_text(f'#!/bin/sh\ncase "$2" in *verdict*|*ensurepip*) exit {code} ;; esac\necho 3.12.1\n')
        python.chmod(0o755)
        found = subprocess.run(["sh", "requirements/find-python", str(python)], cwd=ROOT, capture_output=True, text=True, check=False)
        assert (found.returncode, found.stderr) == (1, "")
        assert found.stdout.count("\n") == 1
        assert sentence in found.stdout
        assert "install" in found.stdout


def test_src_unpickles_and_evaluates_nothing() -> None:
    """No module of src imports a pickling library or calls eval, exec, compile or __import__: a model file is data."""
    found = [f"{path.relative_to(ROOT)}:{line} {what}" for path in sorted((ROOT / "src").rglob("*.py")) for line, what in unsafe(path)]
    assert found == []


def unsafe(path: Path) -> list[tuple[int, str]]:
    """The line and name of everything in a module that could run code from data."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Import():
                found += [(node.lineno, alias.name) for alias in node.names if alias.name.split(".")[0] in UNSAFE_MODULES]
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in UNSAFE_MODULES:
                found.append((node.lineno, module))
            case ast.Call(func=ast.Name(id=name)) if name in UNSAFE_CALLS:
                found.append((node.lineno, name))
            case ast.Attribute(value=ast.Name(id="builtins"), attr=name) if name in UNSAFE_CALLS:
                found.append((node.lineno, name))
            case ast.keyword(arg="allow_pickle", value=ast.Constant(value=True)):
                found.append((node.value.lineno, "allow_pickle"))
    return found


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "import os, shelve",
        "eval('1')",
        "exec('1')",
        "builtins.eval('1')",
        "f(allow_pickle=True)",
    ],
)
def test_the_look_at_src_sees(line: str, tmp_path: Path) -> None:
    """The promise above is worth something: it sees each way to break it."""
    module = tmp_path / "module.py"
    module.write_text(line)
    assert len(unsafe(module)) == 1
