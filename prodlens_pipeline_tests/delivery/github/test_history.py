"""Commits of a repository without a clone: the same as a clone would tell, by few requests.

Belongs here: `github/history.py` through the raw table of commits. Does not: pull requests (`test_sync.py`).
"""

import json
import subprocess
from pathlib import Path

from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline_tests.delivery.github.fake import Fault, Hub, Request
from prodlens_pipeline_tests.delivery.github.project import NAME, collect, collected, commits, modelled, settings_of
from prodlens_pipeline_tests.pipeline import collect_all, lake_in_memory, settings_for

_SAME = ("sha", "parents", "author_email", "authored_at", "committed_at", "subject", "pr_number", "is_merge")
_SAME += ("is_revert", "reverts_sha", "reverts_pr", "ai_tool", "ai_basis", "is_bot")


def test_new_commits_are_read_once_also_older_ones_that_a_merge_brings_in(hub: Hub, lake: Lake, root: Path) -> None:
    repo = hub.repo(NAME)
    for number in range(1, 251):
        repo.push(number)
    settings = settings_of(root, hub)
    collected(lake, settings)
    assert sum(path == "/graphql" for path in hub.paths()) == 3
    hub.forget()
    collected(lake, settings)
    assert hub.billed() == 0
    # a branch that was begun long ago: GitHub lists its commit among those of its time
    tip = repo.history[-1]["sha"]
    branch = repo.push(900, parents=[repo.history[99]["sha"]], hours=100.5)
    repo.history.insert(100, repo.history.pop())
    repo.push(901, parents=[tip, branch], hours=300)
    collected(lake, settings)
    modelled(lake, settings, "core.commits")
    found = lake.rows("select count(*), count(distinct sha), sum(additions) from core.commits")
    assert found == [(252, 252, sum(range(251)) + 900 + 901)]


def test_a_reading_that_broke_off_goes_on(hub: Hub, lake: Lake, root: Path) -> None:
    repo = hub.repo(NAME)
    for number in range(1, 351):
        repo.push(number)
    settings = settings_of(root, hub)
    asked = [0]

    def exhaust(request: Request) -> Fault | None:
        asked[0] += request.path == "/graphql"
        return "primary for an hour" if asked[0] > 2 else None

    hub.fault = exhaust
    assert len(collect(lake, settings).problems) == 1
    hub.fault = lambda _: None
    collected(lake, settings)
    made = commits(lake, settings)
    assert (len(made), made["additions"].sum()) == (350, sum(range(351)))


def test_lines_are_unknown_without_graphql_until_it_is_there(hub: Hub, lake: Lake, root: Path) -> None:
    repo = hub.repo(NAME)
    for number in range(1, 4):
        repo.push(number)
    settings = settings_of(root, hub)
    for has_graphql, lines in ((False, [None] * 3), (True, [1, 2, 3])):
        hub.has_graphql = has_graphql
        collected(lake, settings)
        assert commits(lake, settings).sort("sha")["additions"].to_list() == lines


def test_an_empty_repository_has_no_commits(hub: Hub, lake: Lake, root: Path) -> None:
    hub.repo(NAME)
    collected(lake, settings_of(root, hub))
    assert lake.value("select count(*) from ops.landing_chunks") == 0


def test_a_clone_of_the_same_name_tells_its_commits_itself(hub: Hub, lake: Lake, root: Path) -> None:
    hub.repo(NAME).push(1)
    subprocess.run(["git", "init", "-q", str(root / "app")], check=True)
    settings = settings_of(root, hub, clones=[{"type": "git", "name": NAME, "path": "app"}])
    assert not collect_all(lake, settings)
    assert f"/repos/{NAME}/commits" not in hub.paths()


def test_a_real_history_is_the_same_by_github_as_by_its_clone(captures: Path, hub: Hub, tmp_path: Path) -> None:
    bundle = captures / "github" / "repo.bundle"
    subprocess.run(["git", "clone", "-q", "--bare", str(bundle), str(tmp_path / "sdk")], check=True)
    lines = (captures / "github" / "mcp_sample" / "commits.jsonl").read_text().splitlines()
    hub.repo(NAME).history = sorted(map(json.loads, lines), key=lambda made: made["commit"]["committer"]["date"])
    clone = [{"type": "git", "name": NAME, "path": str(tmp_path / "sdk")}]
    results = []
    for settings in (settings_of(tmp_path / "hub", hub), settings_for(tmp_path / "git", repositories=clone)):
        with lake_in_memory() as lake:
            assert not collect_all(lake, settings)
            results.append(commits(lake, settings).select(_SAME).sort("sha").rows(named=True))
    assert len(results[0]) == 1037
    assert results[0] == results[1]
