"""Archives small enough to be classified in this process, with the tiny model."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

try:
    import dask  # noqa: F401
    import distributed  # noqa: F401
    import duckdb  # noqa: F401
    import pyarrow  # noqa: F401  # refuses NumPy 1
except ImportError:
    collect_ignore_glob = ["test_*.py"]
else:
    from audiomon.archive.part import do_part
    from audiomon.archive.plan import Plan, list_recordings, make_plan
    from audiomon.archive.schema import make_run
    from audiomon.archive.store import Store, open_store
    from audiomon.archive.task import Task
    from audiomon.config.settings import load_settings
    from audiomon.models.interpreter import choose_backend
    from audiomon.pipeline.loading import named_package, rules_for
    from tests.models.tiny import write_tiny


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.archive)


@dataclass(frozen=True)
class Archive:
    """Recordings, where their results go, and the task that makes those of these."""

    folder: Path
    task: Any
    part_files: int = 4

    @property
    def recordings(self) -> Path:
        return self.folder / "recordings"

    @property
    def root(self) -> "Store":
        return open_store(str(self.recordings))

    @property
    def out(self) -> "Store":
        return open_store(self.task.out)

    @property
    def key(self) -> str:
        return str(self.task.run.key)

    def plan(self, **options: Any) -> "Plan":
        listed = list_recordings(self.root, [""], [])
        limits = {"part_files": self.part_files, "part_bytes": 1 << 40}
        return make_plan(listed, self.root, self.out, self.task.run, **{**limits, **options})

    def do(self, plan: "Plan", *parts: str) -> None:
        """Do parts here, without a cluster; all that are to be done, if none is named."""
        hearing = self.task.loaded
        for part in parts or plan.todo:
            entries = plan.entries(part)
            labels = hearing.classifier.labels
            do_part(self.out, self.task.run, labels, part, entries, lambda entry: hearing.hear(self.root, entry))

    def with_run(self, **changes: Any) -> "Archive":
        from msgspec.structs import replace as struct_replace

        run = struct_replace(self.task.run, **changes)
        return replace(self, task=struct_replace(self.task, run=run))


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_tiny(folder / "tiny")
    return folder


@pytest.fixture
def archive(tmp_path: Path, tiny_models: Path) -> Archive:
    settings = load_settings(None, model=str(tiny_models / "tiny"))
    package = named_package(settings)
    rules = rules_for(package, settings)
    run = make_run(settings, package, rules, choose_backend("auto"), rows="windows", scores=1, min_score=0.0)
    manifest, weights = (path.read_bytes() for path in package.files)
    (tmp_path / "recordings").mkdir()
    task = Task(run, str(tmp_path / "recordings"), str(tmp_path / "out"), manifest, weights, rules, 1)
    return Archive(tmp_path, task)
