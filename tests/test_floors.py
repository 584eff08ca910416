"""The house stands: each package imports only from the floors below it, and the daemon starts light."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "audiomon"

# What each package may import of audiomon, besides itself and the ground (errors, clock, stderr).
FLOORS = {
    "audio": set(),
    "features": set(),
    "config": set(),
    "models": {"config", "features"},
    "pipeline": {"audio", "config", "features", "models"},
    "outputs": {"config", "pipeline"},
    "daemon": {"audio", "config", "features", "models", "pipeline", "outputs"},
    "diagnostics": {"audio", "config", "features", "models", "pipeline", "outputs", "daemon"},
    "link": {"config", "outputs"},
    "keeper": {"config", "outputs"},
    "sources": {"audio", "outputs"},
    "archive": {"audio", "config", "features", "models", "pipeline", "outputs"},
    "lab": {"audio", "config", "features", "models", "pipeline", "outputs"},
    "cli": {
        *("audio", "config", "features", "models", "pipeline", "outputs"),
        *("daemon", "diagnostics", "link", "keeper", "archive", "lab"),
    },
}


def imported(path: Path) -> set[str]:
    """Names of audiomon's packages that a file imports, anywhere in it."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
    return {module.split(".")[1] for module in modules if module.startswith("audiomon.")}


@pytest.mark.parametrize("floor", sorted(FLOORS))
def test_a_package_imports_only_from_the_floors_below_it(floor):
    allowed = FLOORS[floor] | {floor}
    for path in (PACKAGE / floor).rglob("*.py"):
        wrong = {name for name in imported(path) if name in FLOORS and name not in allowed}
        assert not wrong, f"{path.relative_to(PACKAGE)} reaches up to {sorted(wrong)}"


def test_every_package_has_its_floor():
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages <= set(FLOORS)
