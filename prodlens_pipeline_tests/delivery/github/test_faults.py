"""A server that fails in every way: the same tables in the end, clear words, no token anywhere.

Belongs here: limits, broken answers, refusals and resuming. Does not: what a sound server answers (`test_sync.py`).
"""

import logging
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from prodlens_pipeline.delivery.github.client import Patience
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline_tests.delivery.github.fake import START, TOKEN, Fault, Hub, Request
from prodlens_pipeline_tests.delivery.github.project import (
    NAME,
    collect,
    collected,
    raw_rows,
    settings_of,
    several,
)
from prodlens_pipeline_tests.pipeline import lake_in_memory

_PULLS_LANDED = "select count(*) from ops.landing_chunks where source = 'github'"
FAULTS: tuple[Fault, ...] = (
    *("drop", "truncate", "garbage", "html", "secondary", "graphql", "errors"),
    *(408, 429, 500, 502, 503),
)


def is_list(request: Request) -> bool:
    return request.path == f"/repos/{NAME}/pulls"


@pytest.mark.parametrize(("seed", "has_graphql"), [(1, True), (2, True), (3, False)])
def test_a_hostile_server_ends_in_the_same_tables(
    hub: Hub, lake: Lake, root: Path, seed: int, has_graphql: bool
) -> None:
    """All faults at random, and pages that shift while they are read; on small pages, so that there are many."""
    chance = random.Random(seed)  # noqa: S311
    hub.has_graphql = has_graphql
    hub.page_cap = chance.choice((5, 6))
    repo = hub.repo(NAME)
    several(repo, range(1, 25))
    for number in range(2, 13):
        repo.push(number)
    numbers = iter(range(1000, 2000))

    def shift() -> None:
        at = START + timedelta(days=50, minutes=next(numbers))
        repo.comment(chance.randint(1, 24), at, "cy")
        repo.run(next(numbers), chance.randint(1, 24), "success", at)

    def misbehave(request: Request) -> Fault | None:
        if request.path.endswith(("/pulls", "/runs", "/graphql")) and chance.random() < 0.3:
            shift()
        return chance.choice(FAULTS) if chance.random() < 0.3 else None

    hub.fault = misbehave
    settings = settings_of(root, hub)
    problems = collect(lake, settings, Patience(attempts=20, backoff=0.0005, secondary_wait=0)).problems
    hub.fault = lambda _: None
    collected(lake, settings)
    assert not problems
    hub.has_graphql = True
    with lake_in_memory() as friendly:
        afresh = settings_of(root / "afresh", hub)
        collected(friendly, afresh)
        assert raw_rows(lake, settings) == raw_rows(friendly, afresh)
        assert len(raw_rows(lake, settings)["github_pull_requests"]) == 24


def test_pages_that_take_the_server_too_long_are_asked_for_in_parts(hub: Hub, lake: Lake, root: Path) -> None:
    several(hub.repo(NAME), range(1, 31))
    hub.fault = lambda request: 502 if int(request.query.get("first", 0)) > 8 else None
    settings = settings_of(root, hub)
    collected(lake, settings)
    assert f"/repos/{NAME}/pulls/1/reviews" not in hub.paths()
    assert len(raw_rows(lake, settings)["github_pull_requests"]) == 30


def test_a_limit_is_waited_for_visibly(hub: Hub, lake: Lake, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    several(hub.repo(NAME), range(1, 4))
    limits = iter(["primary"])
    hub.fault = lambda request: next(limits, None) if is_list(request) else None
    collected(lake, settings_of(root, hub))
    assert "waiting 1 s for GitHub" in caplog.text  # on the console, unless logging is set up otherwise


def test_a_limit_that_lasts_too_long_stops_cleanly_and_the_next_run_resumes(hub: Hub, lake: Lake, root: Path) -> None:
    several(hub.repo(NAME), range(1, 71))
    several(hub.repo("org/other"), range(1, 3))
    settings = settings_of(root, hub, NAME, "org/other")
    queries = [0]

    def exhaust(request: Request) -> Fault | None:
        queries[0] += request.path == "/graphql"
        return "primary for an hour" if queries[0] > 2 else None

    hub.fault = exhaust
    (problem,) = collect(lake, settings).problems
    assert "GitHub asks to wait until" in problem
    assert "run again then" in problem
    assert lake.value(_PULLS_LANDED) == 50
    hub.fault = lambda _: None
    collected(lake, settings)
    assert lake.value(_PULLS_LANDED) == 72


def test_a_run_that_breaks_off_anywhere_reads_nothing_twice(hub: Hub, lake: Lake, root: Path) -> None:
    hub.has_graphql = False
    several(hub.repo(NAME), range(1, 31))
    settings = settings_of(root, hub)
    down = tuple(f"/repos/{NAME}/pulls/{number}" for number in range(21, 31))
    hub.fault = lambda request: 500 if request.path in down else None
    problem = collect(lake, settings, Patience(attempts=2, backoff=0.001)).problems[0]
    assert f"{hub.url}/repos/org/app/pulls/22: HTTP 500, 2 times in a row" in problem
    assert f"/repos/{NAME}/pulls/23" not in hub.paths()
    hub.fault = lambda _: None
    hub.forget()
    collected(lake, settings)
    assert f"/repos/{NAME}/pulls/20" not in hub.paths()
    assert f"/repos/{NAME}/pulls/22" in hub.paths()
    assert lake.value(_PULLS_LANDED) == 30
    assert lake.value("select count(*) from ops.dead_letters") == 0


def test_one_pull_request_that_the_server_fails_at_costs_only_itself(hub: Hub, lake: Lake, root: Path) -> None:
    hub.has_graphql = False
    several(hub.repo(NAME), range(1, 6))
    settings = settings_of(root, hub)
    hub.fault = lambda request: 500 if request.path == f"/repos/{NAME}/pulls/3/reviews" else None
    assert not collect(lake, settings, Patience(attempts=2, backoff=0.001)).problems
    assert lake.rows("select line, status from ops.dead_letters") == [(3, "pending")]
    assert lake.value(_PULLS_LANDED) == 4
    hub.fault = lambda _: None
    collected(lake, settings)
    assert lake.value(_PULLS_LANDED) == 5


@pytest.mark.parametrize("fault", [500, "garbage"])
def test_a_part_that_the_server_always_fails_at_costs_itself_only_and_is_read_another_time(
    hub: Hub, lake: Lake, root: Path, fault: Fault
) -> None:
    hub.has_graphql = False
    repo = hub.repo(NAME)
    now = datetime.now(UTC)
    for number in range(1, 6):
        repo.open(number, now)
        repo.status(number, "failure", now)
    settings = settings_of(root, hub)
    hub.fault = lambda request: fault if request.path.endswith("/status") else None
    landing = collect(lake, settings, Patience(attempts=2, backoff=0.001))
    assert not landing.problems
    assert landing.notes == [f"repository {NAME}: GitHub does not show the statuses of 5 pull requests"]
    assert len(raw_rows(lake, settings)["github_pull_requests"]) == 5
    assert lake.value("select count(*) from ops.dead_letters") == 0
    hub.fault = lambda _: None
    collected(lake, settings)
    assert len(raw_rows(lake, settings)["github_statuses"]) == 5


@pytest.mark.parametrize("status", [403, 404, 410, 451])
def test_a_repository_that_cannot_be_read_hinders_no_other(hub: Hub, lake: Lake, root: Path, status: int) -> None:
    several(hub.repo(NAME), range(1, 3))
    hub.repo("org/gone")
    hub.statuses["org/gone"] = status
    settings = settings_of(root, hub, "org/gone", NAME)
    (problem,) = collect(lake, settings).problems
    assert problem.startswith("repository org/gone: ")
    assert f"HTTP {status}" in problem
    assert len(raw_rows(lake, settings)["github_pull_requests"]) == 2


def test_a_repository_that_is_deleted_keeps_what_was_landed(hub: Hub, lake: Lake, root: Path) -> None:
    several(hub.repo(NAME), range(1, 3))
    settings = settings_of(root, hub)
    collected(lake, settings)
    del hub.repositories[NAME]
    (problem,) = collect(lake, settings).problems
    assert "HTTP 404" in problem
    assert len(raw_rows(lake, settings)["github_pull_requests"]) == 2


def test_a_refused_token_is_named_but_not_shown(
    hub: Hub, lake: Lake, root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = TOKEN[::-1]
    monkeypatch.setenv("GITHUB_TOKEN", wrong)
    several(hub.repo(NAME), range(1, 3))
    with caplog.at_level(logging.DEBUG):
        (problem,) = collect(lake, settings_of(root, hub, NAME, "org/other")).problems
    assert "HTTP 401" in problem
    assert "GITHUB_TOKEN" in problem
    assert "Bad credentials" in problem
    assert wrong not in problem + caplog.text


def test_without_a_token_public_repositories_are_read_by_rest(
    hub: Hub, lake: Lake, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    several(hub.repo(NAME), range(1, 4))
    settings = settings_of(root, hub)
    collected(lake, settings)
    assert len(raw_rows(lake, settings)["github_pull_requests"]) == 3


def test_a_github_app_is_used_where_there_is_no_token(
    hub: Hub, lake: Lake, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    (tmp_path / "app.pem").write_bytes(key)
    monkeypatch.delenv("GITHUB_TOKEN")
    monkeypatch.setenv("GITHUB_APP_ID", "12")
    monkeypatch.setenv("GITHUB_APP_PRIVATE_KEY_PATH", str(tmp_path / "app.pem"))
    several(hub.repo(NAME), range(1, 4))
    settings = settings_of(root, hub)
    (problem,) = collect(lake, settings).problems
    assert "GITHUB_APP_INSTALLATION_ID" in problem
    monkeypatch.setenv("GITHUB_APP_INSTALLATION_ID", "7")
    collected(lake, settings)
    assert "/graphql" in hub.paths()
    assert len(raw_rows(lake, settings)["github_pull_requests"]) == 3


def test_a_pull_request_that_breaks_the_contract_is_refused_until_it_is_mended(
    hub: Hub, lake: Lake, root: Path
) -> None:
    repo = hub.repo(NAME)
    several(repo, range(1, 6))
    repo.pulls[3]["additions"] = -7
    settings = settings_of(root, hub)
    for _ in range(2):
        collected(lake, settings)
        assert lake.rows("select source_file, line, status, reason from ops.dead_letters") == [
            ("org/app#3", 3, "pending", "additions: Input should be greater than or equal to 0")
        ]
    assert len(raw_rows(lake, settings)["github_pull_requests"]) == 4
    repo.pulls[3]["additions"] = 7
    collected(lake, settings)
    assert not lake.rows("select * from ops.dead_letters")
    assert len(raw_rows(lake, settings)["github_pull_requests"]) == 5


def test_a_lost_cache_costs_requests_and_nothing_else(hub: Hub, lake: Lake, root: Path) -> None:
    several(hub.repo(NAME), range(1, 31))
    settings = settings_of(root, hub)
    collected(lake, settings)
    before = raw_rows(lake, settings)
    for file in (root / ".prod-lens").glob("cache.db*"):
        file.unlink()
    hub.forget()
    collected(lake, settings)
    assert hub.billed() == 6  # the name, three lists of feeds, pull requests, commits
    assert raw_rows(lake, settings) == before
