"""Reading a repository: everything arrives, once, by either API, cheaply, and without texts.

Belongs here: what is landed and what it costs. Does not: faults (`test_faults.py`), SQL models (`test_models.py`).
"""

import json
import logging
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zstandard

from prodlens_pipeline.delivery.github.journal import SOURCE
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline_tests.delivery.github.fake import START, TOKEN, Hub, Request, commit, stamp
from prodlens_pipeline_tests.delivery.github.project import NAME, collected, raw_rows, settings_of, several
from prodlens_pipeline_tests.pipeline import lake_in_memory


def test_both_apis_give_the_same_rows(hub: Hub, tmp_path: Path) -> None:
    several(hub.repo(NAME), range(1, 31))
    hub.repo(NAME).pulls[7]["body"] = "Because of the outage.\r\n\r\nReverts org/app#6"
    results = []
    for has_graphql in (True, False):
        hub.has_graphql = has_graphql
        hub.forget()
        settings = settings_of(tmp_path / str(has_graphql), hub)
        with lake_in_memory() as lake:
            collected(lake, settings)
            results.append(raw_rows(lake, settings))
        assert ("/repos/org/app/pulls/7/reviews" in hub.paths()) is not has_graphql
    assert results[0] == results[1]
    names = ("pull_requests", "reviews", "events", "checks", "statuses", "releases", "deployments", "workflow_runs")
    assert [len(results[0][f"github_{name}"]) for name in names] == [
        30,
        45,
        10 + 10 + 6 + 29 + 15 + 15,  # comments, force pushes, reopenings, closings, merges, comments on code
        *(30, 4, 3, 3, 30),
    ]


def test_an_unchanged_repository_costs_nothing(hub: Hub, lake: Lake, root: Path) -> None:
    several(hub.repo(NAME), range(1, 41))
    settings = settings_of(root, hub)
    collected(lake, settings)
    manifest = lake.rows("select * from ops.landing_chunks order by all")
    hub.forget()
    collected(lake, settings)
    assert hub.requests
    assert hub.billed() == 0
    assert lake.rows("select * from ops.landing_chunks order by all") == manifest


def test_a_week_of_five_active_pull_requests_a_day_stays_under_a_hundred_requests(
    hub: Hub, lake: Lake, root: Path
) -> None:
    repo = hub.repo(NAME)
    several(repo, range(1, 31))
    settings = settings_of(root, hub)
    collected(lake, settings)
    hub.forget()
    for day in range(7):
        morning = START + timedelta(days=30 + day)
        for number in range(200 + 5 * day, 205 + 5 * day):
            repo.open(number, morning)
            repo.review(number - 5 if day else number, morning, "cy", "APPROVED", comments=2)
            repo.check(number, "success", morning)
            repo.run(number, number, "success", morning)
        repo.push(900 + day, hours=24 * (30 + day))
        repo.deploy(900 + day, morning, "success")
        repo.deploy(800 + day, morning, "success", environment="staging")
        repo.release(900 + day, morning)
        collected(lake, settings)
    assert hub.billed() <= 70
    assert lake.value(f"select count(distinct source_file) from ops.landing_chunks where source = '{SOURCE}'") == 65


def test_a_first_reading_asks_for_many_at_once(hub: Hub, lake: Lake, root: Path) -> None:
    several(hub.repo(NAME), range(1, 291))
    collected(lake, settings_of(root, hub))
    # the name, the list twice, 25 pull requests by request, the history, releases, deployments, workflow runs
    assert len(hub.requests) == 1 + 2 * 3 + 12 + 2 + 1 + 2 + 3


def test_what_changes_arrives_and_what_goes_disappears(hub: Hub, lake: Lake, root: Path) -> None:
    repo = hub.repo(NAME)
    several(repo, range(1, 11))
    settings = settings_of(root, hub)
    collected(lake, settings)
    later = START + timedelta(days=2)
    repo.commits[3] = [commit("f" * 40, later, "bo")]  # a force push
    repo.event(3, "head_ref_force_pushed", later)
    repo.pulls[6]["title"] = "A merged one, named anew"
    repo.pulls[6]["updated_at"] = stamp(later)
    repo.reviews[6] = []
    repo.review_comments[6] = []
    collected(lake, settings)
    found = raw_rows(lake, settings)
    titles = {row[1]: row[4] for row in found["github_pull_requests"]}
    assert titles[6] == "A merged one, named anew"
    assert not [row for row in found["github_reviews"] if row[1] == 6]
    (third,) = [row for row in found["github_pull_requests"] if row[1] == 3]
    assert ["f" * 40] in third


def test_checks_that_were_still_running_are_read_again(hub: Hub, lake: Lake, root: Path) -> None:
    repo = hub.repo(NAME)
    several(repo, range(1, 5))
    now = datetime.now(UTC)
    repo.open(9, now)
    repo.check(9, None, now)
    settings = settings_of(root, hub)
    collected(lake, settings)
    sha = repo.pulls[9]["head"]["sha"]
    repo.checks[sha][0] |= {"status": "completed", "conclusion": "failure"}
    collected(lake, settings)
    (check,) = [row for row in raw_rows(lake, settings)["github_checks"] if row[1] == 9]
    assert "failure" in check
    hub.forget()
    collected(lake, settings)
    assert hub.billed() == 0


def test_many_whose_checks_are_running_are_read_again_by_one_request(hub: Hub, lake: Lake, root: Path) -> None:
    repo = hub.repo(NAME)
    now = datetime.now(UTC)
    repo.push(1)
    for number in range(1, 7):
        repo.open(number, now)
        repo.status(number, "pending", now)
    settings = settings_of(root, hub)
    collected(lake, settings)
    repo.status(2, "failure", now)
    hub.forget()
    collected(lake, settings)
    assert hub.billed() == 1
    states = [row[4] for row in raw_rows(lake, settings)["github_statuses"]]
    assert sorted(states) == ["failure", *["pending"] * 5]


def test_pages_that_shift_while_they_are_read_lose_nothing(hub: Hub, lake: Lake, root: Path) -> None:
    repo = hub.repo(NAME)
    several(repo, range(1, 47))
    hub.page_cap = 10
    settings = settings_of(root, hub)
    moves = iter(range(1, 40, 2))
    later = START + timedelta(days=60)

    def shift(request: Request) -> None:
        number = next(moves, None) if request.path in ("/repos/org/app/pulls", "/graphql") else None
        if number:
            repo.comment(number, later + timedelta(minutes=number), "cy")

    hub.before = shift
    collected(lake, settings)
    hub.before = lambda _: None
    collected(lake, settings)
    found = raw_rows(lake, settings)
    with lake_in_memory() as calm:
        afresh = settings_of(root / "afresh", hub)
        collected(calm, afresh)
        assert raw_rows(calm, afresh) == found
    assert len(found["github_pull_requests"]) == 46


def test_a_pull_request_too_large_for_one_answer_is_read_in_full(hub: Hub, lake: Lake, root: Path) -> None:
    repo = hub.repo(NAME)
    several(repo, range(1, 4))
    repo.commits[2] = [commit(f"{n:040x}", START + timedelta(minutes=n), "ana") for n in range(230)]
    for n in range(120):
        repo.review(2, START + timedelta(days=1, minutes=n), "cy")
    settings = settings_of(root, hub)
    collected(lake, settings)
    found = raw_rows(lake, settings)
    (second,) = [row for row in found["github_pull_requests"] if row[1] == 2]
    assert 230 in second
    assert len([row for row in found["github_reviews"] if row[1] == 2]) == 123


def test_texts_and_the_token_are_nowhere(hub: Hub, lake: Lake, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    several(hub.repo(NAME), range(1, 15))
    with caplog.at_level(logging.DEBUG):
        for has_graphql in (True, False):
            hub.has_graphql = has_graphql
            collected(lake, settings_of(root, hub))
            several(hub.repo(NAME), range(20, 30))
    assert "/repos/org/app/pulls" in caplog.text
    assert TOKEN not in caplog.text
    chunks = (root / ".prod-lens" / "landing").rglob("*.zst")
    stored = b"".join(zstandard.ZstdDecompressor().decompress(path.read_bytes()) for path in chunks)
    with sqlite3.connect(root / ".prod-lens" / "cache.db") as cache:
        kept = json.dumps([[str(value) for value in row] for row in cache.execute("select * from responses")])
    assert b"Change 3" in stored
    assert "Change 23" in kept
    for secret in ("Secret", TOKEN):
        assert secret.encode() not in stored
        assert secret not in kept


def test_an_organisation_is_found_by_pattern(hub: Hub, lake: Lake, root: Path) -> None:
    for name in ("org/app", "org/api", "org/secret-plan", "other/app"):
        several(hub.repo(name), range(1, 3))
    settings = settings_of(root, hub, "org/a*", "org/app")
    collected(lake, settings)
    found = {row[0] for row in raw_rows(lake, settings)["github_pull_requests"]}
    assert found == {"org/app", "org/api"}


def test_a_renamed_repository_keeps_its_configured_name(hub: Hub, lake: Lake, root: Path) -> None:
    several(hub.repo("org/new"), range(1, 36))
    hub.renamed["org/app"] = "org/new"
    settings = settings_of(root, hub)
    collected(lake, settings)
    pulls = raw_rows(lake, settings)["github_pull_requests"]
    assert {row[0] for row in pulls} == {"org/app"}
    assert len(pulls) == 35  # more than there are on a page, and closed ones, where the query was lost
