"""Dagster's home in a project: made once, by whoever comes first."""

import subprocess
import sys
from pathlib import Path

OPEN = """
import sys
from pathlib import Path
from prodlens_pipeline.pipeline import dagster_instance
from prodlens_pipeline.settings import Settings
with dagster_instance(Settings(root=Path(sys.argv[1]), home=Path(sys.argv[1]))) as instance:
    assert instance.get_runs() == []
"""


def test_it_can_be_opened_by_several_at_once_before_it_exists(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPEN, str(tmp_path)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(5)]
    assert [process.communicate()[1].decode()[-300:] for process in processes] == [""] * 5
    assert sorted(path.name for path in (tmp_path / "dagster").glob("*.yaml")) == ["dagster.yaml"]
