"""Rework and survival from a clone to the metric."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from prodlens_pipeline.metrics import registry
from prodlens_pipeline.metrics.evaluate import Selection, scorecard
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline_tests.pipeline import Clone, build, lake_in_memory, landed_window, moment, settings_for

CLAUDE = "\n\nCo-authored-by: Claude <noreply@anthropic.com>"
METRICS = ("rework_rate", "revert_rate_21d", "fix_up_rate_21d", "changed_again_share_21d", "reopened_rate")
SURVIVALS = ("line_survival_21d", "line_survival_21d_other")


def commit(clone: Clone, message: str, at: str, name: str, lines: int) -> None:
    (clone.path / name).write_text("".join(f"{name} {message[:12]} {number}\n" for number in range(lines)))
    clone.git("add", "-A")
    clone.git("commit", "-q", "-m", message, at=at)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """Eight pull requests a day apart: two fixed up, one reverted, of them all but the last two known."""
    root = tmp_path_factory.mktemp("rework")
    clone = Clone(root / "app")
    for number in range(1, 9):
        trailer = CLAUDE if number % 2 else ""
        at = moment("2026-03-01 10:00") + timedelta(days=number)
        commit(clone, f"Add part {number} (#{number}){trailer}", f"{at:%Y-%m-%d %H:%M}", f"part{number}.py", 10)
    commit(clone, "Fix (#9)", "2026-03-10 10:00", "part1.py", 5)
    commit(clone, "Fix (#10)", "2026-03-10 11:00", "part2.py", 5)
    clone.git("revert", "--no-edit", "HEAD~7", at="2026-03-11 10:00")
    clone.git("commit", "-q", "--allow-empty", "-m", "Later", at="2026-03-28 12:00")
    with lake_in_memory() as opened:
        build(opened, settings_for(root, repositories=[{"type": "git", "name": "org/app", "path": "app"}]))
        yield opened


def figures(lake: Lake, *names: str) -> dict[str, tuple[float | None, int, str]]:
    by_name = {metric.name: metric for metric in registry.METRICS}
    metrics = [by_name[name] for name in names]
    card = scorecard(lake, metrics, Selection(landed_window(lake)), "team", ["team"])
    return {row["metric"]: (row["value"], row["n"], row["verdict"]) for row in card.to_dicts()}


def test_parts_are_apart_and_what_is_not_known_is_on_neither_side(lake: Lake) -> None:
    assert lake.rows(
        "select number, window_elapsed, reverted_21d, fixed_up_21d, reworked_21d, reopened_before_merge "
        "from core.rework order by number"
    ) == [
        (1, True, False, True, True, None),
        (2, True, False, True, True, None),
        (3, True, True, False, True, None),
        (4, True, False, False, False, None),
        (5, True, False, False, False, None),
        (6, True, False, False, False, None),
        *((number, False, None, None, None, None) for number in range(7, 11)),
    ]
    assert figures(lake, *METRICS) == {
        "rework_rate": (0.5, 6, "fail"),
        "revert_rate_21d": (pytest.approx(1 / 6), 6, "shown"),
        "fix_up_rate_21d": (pytest.approx(2 / 6), 6, "shown"),
        "changed_again_share_21d": (pytest.approx(20 / 60), 6, "shown"),
        "reopened_rate": (None, 0, "not enough data"),
    }


def test_survival_of_assisted_and_other_lines_is_apart(lake: Lake) -> None:
    assert lake.rows(
        "select ai_assisted, sum(lines_added), sum(lines_surviving_21d), count(*) from core.code_survival "
        "where lines_surviving_21d is not null group by all order by all"
    ) == [(False, 30, 20, 3), (True, 30, 10, 3)]
    # three commits of each kind are too few
    assert {value for value, _, _ in figures(lake, *SURVIVALS).values()} == {None}
    assert [n for _, n, _ in figures(lake, *SURVIVALS).values()] == [3, 3]


def test_a_revert_that_was_never_merged_has_undone_nothing(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "app")
    commit(clone, "Add (#1)", "2026-03-02 10:00", "part1.py", 10)
    clone.git("checkout", "-q", "-b", "undo")
    clone.git("revert", "--no-edit", "HEAD", at="2026-03-03 10:00")
    clone.git("checkout", "-q", "main")
    clone.git("commit", "-q", "--allow-empty", "-m", "Later", at="2026-04-20 10:00")
    settings = settings_for(tmp_path, repositories=[{"type": "git", "name": "org/app", "path": "app"}])
    both = (
        "select work.reverted_21d, pull.reverted_at::varchar, work.reverted_at::varchar from core.rework as work "
        "inner join core.pull_requests as pull using (repo, number)"
    )
    with lake_in_memory() as lake:
        build(lake, settings)
        assert lake.rows(both) == [(False, None, None)]

        clone.merge("undo", "Merge branch 'undo'", "2026-04-21 10:00")
        build(lake, settings)
        assert lake.rows(both) == [(False, "2026-04-21 10:00:00", "2026-04-21 10:00:00")]


def test_copies_are_counted_once(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "app")
    for number in range(6):
        commit(clone, f"Day {number}", f"2026-03-0{number + 1} 10:00", f"part{number}.py", 3)
    clone.git("checkout", "-q", "-b", "release", "HEAD~1")
    clone.git("cherry-pick", "main", at="2026-03-07 10:00")
    with lake_in_memory() as lake:
        build(lake, settings_for(tmp_path, repositories=[{"type": "git", "name": "org/app", "path": "app"}]))

        assert lake.value("select count(*) from core.commits") == 7
        assert figures(lake, "commit_frequency") == {"commit_frequency": (1.0, 6, "fail")}
