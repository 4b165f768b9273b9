"""The floor plan holds: who may import whom, which vendor lives where, and that no file outgrows one idea."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "wattcast"

# The table of docs/architecture.md: each room, and the rooms it may import besides itself and errors.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "config": {"forecasting"},
    "meter": set(),
    "forecasting": {"meter"},
    "access": {"meter"},
    "monitoring": {"meter", "forecasting"},
    "ports": {"access", "meter", "forecasting", "monitoring"},
    "serving": {"ports", "meter", "forecasting"},
    "adapters": {"access", "ports", "config", "meter", "forecasting", "monitoring"},
    "stages": {"config", "meter", "forecasting", "ports", "adapters"},
    "web": {"access", "config", "serving", "adapters", "ports", "meter", "forecasting", "monitoring"},
    "cli": {"access", "config", "meter", "forecasting", "monitoring", "ports", "serving", "adapters", "stages", "web"},
    "__init__": {"config", "meter", "forecasting", "stages"},
}
OWNERS: dict[str, tuple[str, ...]] = {
    "polars": ("meter", "cli"),
    "onnxruntime": ("forecasting/heads.py",),
    "onnx": ("forecasting/graph.py",),
    "xgboost": ("forecasting/families",),
    "lightgbm": ("forecasting/families",),
    "holidays": ("forecasting/calendars.py",),
    "matplotlib": ("adapters/plots.py",),
    "dvc": ("adapters/dvc.py",),
    "mlflow": ("adapters/mlflow.py",),
    "optuna": ("adapters/optuna.py",),
    "sqlalchemy": ("adapters/database", "adapters/optuna.py"),
    "alembic": ("adapters/database",),
    "cryptography": ("adapters/signatures.py",),
    "msgspec": ("adapters/database", "web"),
    "flask": ("web",),
    "gunicorn": ("web/server.py", "web/broken.py", "web/patience.py", "web/unreadable.py"),
    "limits": ("web/security/limits.py",),
    "flask_caching": ("web/cache.py",),
    "cachelib": ("web/cache.py",),
    "redis": ("web/cache.py",),
    "flask_wtf": ("web",),
    "prometheus_client": ("web/telemetry.py",),
    "structlog": ("web",),
    "typer": ("cli",),
    "boto3": ("adapters/s3.py",),
    "botocore": ("adapters/s3.py",),
}
PURE = ("meter", "forecasting", "monitoring")
IMPURE_MODULES = {"socket", "subprocess", "requests", "urllib", "http", "time", "os"}
LONGEST_FILE, LONGEST_STAGE, LONGEST_FUNCTION = 260, 60, 45


def sources() -> list[Path]:
    """Every Python file of the package."""
    return sorted(SOURCE.rglob("*.py"))


def room_of(path: Path) -> str:
    """The room a file belongs to: its folder, or its own name at the top."""
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Every module a file imports, wherever the import stands, those for type checking alone left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    checked = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    left_out = {id(inner) for node in checked for inner in ast.walk(node)}
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in left_out:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names if node.module == "wattcast"}
    return names


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_room_imports_only_what_the_floor_plan_allows(path: Path) -> None:
    """Data walks one way: no file imports a room that its own may not."""
    room = room_of(path)
    rooms = {name.split(".")[1] for name in imported(path) if name.startswith("wattcast.")} - {room, "errors", "__version__"}
    assert rooms <= MAY_IMPORT[room], f"{room} must not import {sorted(rooms - MAY_IMPORT[room])}"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_vendor_is_known_to_its_owner_alone(path: Path) -> None:
    """Each library that could be exchanged is imported in one place."""
    where = str(path.relative_to(SOURCE))
    for name in {module.split(".")[0] for module in imported(path)} & OWNERS.keys():
        assert where.startswith(OWNERS[name]), f"{where} must not import {name}"


@pytest.mark.parametrize("path", [path for path in sources() if room_of(path) in PURE], ids=lambda path: str(path.relative_to(SOURCE)))
def test_the_rooms_of_the_science_are_pure(path: Path) -> None:
    """No network, no clock, no process: "now" is always a parameter."""
    assert not {module.split(".")[0] for module in imported(path)} & IMPURE_MODULES
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
    assert not calls & {"datetime.now", "datetime.utcnow", "date.today"}


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_is_one_idea_and_a_function_fits_in_the_eye(path: Path) -> None:
    """Files and functions stay short; an entry point of the pipeline shorter still."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= (LONGEST_STAGE if room_of(path) == "stages" and "def main()" in text else LONGEST_FILE)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < LONGEST_FUNCTION, (
                f"{node.name} is {(node.end_lineno or 0) - node.lineno + 1} lines long"
            )


def test_the_floor_plan_names_every_room() -> None:
    """A room that is not in the table is not in the house."""
    assert {room_of(path) for path in sources()} <= MAY_IMPORT.keys()
