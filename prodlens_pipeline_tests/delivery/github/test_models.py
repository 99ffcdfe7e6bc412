"""What the tables say of pull requests: GitHub alone, beside a clone, and held against real recordings.

Belongs here: `core.pull_requests`, `core.reviews`, `core.pull_request_events`, `core.github_accounts` and the marts on
them. Does not: how the rows came (`test_sync.py`).
"""

import csv
import json
import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline_tests.delivery.github.conftest import served
from prodlens_pipeline_tests.delivery.github.fake import START, Hub, Repo, commit
from prodlens_pipeline_tests.delivery.github.project import NAME, build, collected, settings_of
from prodlens_pipeline_tests.pipeline import Clone, collect_all, lake_in_memory

HOUR = timedelta(hours=1)
IDENTITIES = {"Ana": ["ana@example.com", "github:ana"], "Bo": ["bo@example.com"], "Cy": ["github:Cy"]}


def first_row(lake: Lake, number: int, columns: str, repo: str = NAME) -> tuple[Any, ...]:
    return lake.rows(
        f"select {columns} from core.pull_requests where number = $number and repo = $repo",
        {"number": number, "repo": repo},
    )[0]


def naive(at: datetime) -> datetime:
    return at.replace(tzinfo=None)


def course(repo: Repo) -> None:
    """#1: a draft that is made ready, reviewed, corrected, closed, reopened, approved, merged."""
    repo.open(1, START, "bo")
    repo.event(1, "ready_for_review", START + HOUR, "bo")
    repo.review(1, START + 1.5 * HOUR, "linter[bot]", "CHANGES_REQUESTED", comments=1)
    repo.review(1, START + 2 * HOUR, "bo", comments=1)
    repo.comment(1, START + 2.5 * HOUR, "cy")
    repo.review(1, START + 3 * HOUR, "cy", "CHANGES_REQUESTED", comments=2)
    repo.event(1, "head_ref_force_pushed", START + 4 * HOUR, "bo")
    repo.event(1, "closed", START + 5 * HOUR, "bo")
    repo.event(1, "reopened", START + 6 * HOUR, "bo")
    repo.review(1, START + 7 * HOUR, None, "APPROVED")
    repo.check(1, "failure", START)
    repo.check(1, "success", START)
    repo.close(1, START + 8 * HOUR, merged=True)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """One repository with pull requests in every state, and every table."""
    hub = Hub()
    repo = hub.repo(NAME)
    repo.push(1)
    course(repo)
    repo.open(2, START, "ana", draft=True)
    repo.open(3, START, "renovate[bot]")
    repo.close(3, START + HOUR, merged=False)
    repo.open(4, START + 24 * HOUR, None, title='Revert "Change 1"', body="Reverts org/app#1\n\nIt broke.")
    repo.close(4, START + 30 * HOUR, merged=True)
    repo.open(5, START, "ana", body="Like in Reverts other/app#1")
    repo.commits[5] = [commit("5" * 40, START, "ana", "Do it\n\nCo-Authored-By: Claude <noreply@anthropic.com>")]
    with served(hub), lake_in_memory() as lake:
        settings = settings_of(tmp_path_factory.mktemp("told"), hub, identities=IDENTITIES)
        collected(lake, settings)
        build(lake, settings)
        yield lake


def test_the_course_of_a_pull_request(told: Lake) -> None:
    assert first_row(
        told,
        1,
        "state, author_id, created_at, ready_at, first_commit_at, first_review_at, approved_at, reopened_at, "
        "merged_at, reopenings, reviews, changes_requested, review_comments, force_pushes, failing_checks, additions, "
        "changed_files, commits, merge_basis, head_ref",
    ) == (
        "merged",
        "Bo",
        naive(START),
        naive(START + HOUR),
        naive(START - HOUR),
        naive(START + 3 * HOUR),
        naive(START + 7 * HOUR),
        naive(START + 6 * HOUR),
        naive(START + 8 * HOUR),
        *(1, 2, 1, 4, 1, 1, 10, 1, 1, None, "branch-1"),
    )


def test_states_authors_and_reverts(told: Lake) -> None:
    found = told.rows(
        "select number, state, author_id, is_bot, is_draft, is_revert, reverts_number, ai_assisted, "
        "ready_at is null, merged_day is null, merge_commit_sha is null from core.pull_requests order by number"
    )
    assert found == [
        (1, "merged", "Bo", False, False, False, None, False, False, False, False),
        (2, "open", "Ana", False, True, False, None, False, True, True, True),
        (3, "closed", "bot:renovate[bot]", True, False, False, None, False, False, True, True),
        (4, "merged", "unknown", False, False, True, 1, False, False, False, False),
        (5, "open", "Ana", False, False, False, None, True, False, True, True),
    ]
    assert first_row(told, 1, "reverted_at") == (naive(START + 30 * HOUR),)


def test_reviews_events_and_accounts(told: Lake) -> None:
    assert told.rows(
        "select reviewer_id, state, comments, is_bot, is_own from core.reviews where number = 1 order by submitted_at"
    ) == [
        ("bot:linter[bot]", "changes_requested", 1, True, False),
        ("Bo", "commented", 1, False, True),
        ("Cy", "changes_requested", 2, False, False),
        ("unknown", "approved", 0, False, False),
    ]
    events = told.rows("select event, actor_id from core.pull_request_events where number = 1 order by position")
    assert [event for event, _ in events] == [
        *("opened", "ready_for_review", "line_commented", "line_commented", "commented", "line_commented"),
        *("line_commented", "head_ref_force_pushed", "closed", "reopened", "closed", "merged"),
    ]
    assert events[0] == ("opened", "Bo")
    accounts = dict(told.rows("select login, (developer_id, is_mapped) from core.github_accounts"))
    assert accounts == {
        "ana": ("Ana", True),
        "bo": ("Bo", True),  # by the e-mail of a commit that GitHub knows to be bo's
        "cy": ("Cy", True),
        "linter[bot]": ("bot:linter[bot]", False),
        "renovate[bot]": ("bot:renovate[bot]", False),
    }
    assert told.rows("select identity, developer_id, sources from core.developers order by all") == [
        ("ana@example.com", "Ana", ["git"]),
        ("github:ana", "Ana", ["github"]),
        ("github:bo", "Bo", ["github"]),
        ("github:cy", "Cy", ["github"]),
    ]


def test_only_merged_ones_count_as_merged(told: Lake) -> None:
    assert told.value("select sum(prs_merged) from marts.daily_repo") == 2
    assert dict(told.rows("select developer_id, sum(prs_merged) from marts.daily_developer group by all")) == {
        "Ana": 0,
        "Bo": 1,
        "unknown": 1,
    }


def test_a_clone_of_the_same_name_is_the_same_repository(hub: Hub, lake: Lake, root: Path) -> None:
    clone = Clone(root / "app")
    clone.commit("Start", "2026-03-01 00:00")
    clone.commit("Change 1 (#1)", "2026-03-02 18:00", "Bo <bo@example.com>", lines=7)
    sha = clone.git("rev-parse", "HEAD")
    clone.commit("Mend what issue 7 tells (#7)", "2026-03-02 17:00", lines=2)
    clone.commit("After the reading (#9)", "2026-03-03 09:00", lines=3)
    repo = hub.repo(NAME)
    repo.open(1, START, "ana", merge_commit_sha=sha, title="Change one")
    repo.close(1, datetime.fromisoformat("2026-03-02T18:00:00+00:00"), merged=True)
    clones = [{"type": "git", "name": NAME, "path": "app"}]
    settings = settings_of(root, hub, identities=IDENTITIES, clones=clones)
    assert not collect_all(lake, settings)
    build(lake, settings)
    assert lake.rows(
        "select number, state, title, author_id, created_at, merged_at, additions, merge_basis, "
        "merge_commit_sha = $sha from core.pull_requests order by number",
        {"sha": sha},
    ) == [
        (1, "merged", "Change one", "Ana", naive(START), naive(START + 9 * HOUR), 10, "squash", True),
        (9, "merged", "After the reading (#9)", "Ana", None, naive(START + 24 * HOUR), 3, "squash", False),
    ]
    assert lake.rows("select name, path is not null from raw.config_repositories") == [(NAME, True)]


# --- a recording of a real repository ----------------------------------------------------------------------------

ANTS = "panjf2000/ants"


def recorded(folder: Path) -> Repo:
    """The recording as a repository: REST objects as they were, tied to their pull requests."""

    def lines(name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]

    repo = Repo(pulls={pull["number"]: pull for pull in lines("pulls")})
    for review in lines("pull_reviews"):
        repo.reviews.setdefault(review["_pull_number"], []).append(review)
    for made in lines("pull_commits"):
        repo.commits.setdefault(made["_pull_number"], []).append(made)
    for name, key, target in (
        ("review_comments", "pull_request_url", repo.review_comments),
        ("issue_comments", "issue_url", repo.comments),
    ):
        for item in lines(name):
            target.setdefault(int(item[key].rsplit("/", 1)[1]), []).append(item)
    for event in lines("issue_events"):
        repo.events.setdefault(event["issue"]["number"], []).append(event)
    return repo


@pytest.fixture(scope="module")
def ants(captures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """The recording through the whole pipeline, by REST: it is the form in which it was recorded."""
    hub = Hub()
    hub.repositories[ANTS] = recorded(captures / "github" / "ants")
    hub.has_graphql = False
    with served(hub), lake_in_memory() as lake:
        settings = settings_of(tmp_path_factory.mktemp("ants"), hub, ANTS)
        collected(lake, settings)
        build(lake, settings)
        yield lake


@pytest.fixture(scope="module")
def expected(captures: Path) -> Any:
    return json.loads((captures / "github" / "expected.json").read_text())["ants"]


def test_the_recording_counts_as_expected(ants: Lake, expected: Any) -> None:
    states = dict(ants.rows("select state, count(*) from core.pull_requests group by all"))
    assert states == {"open": expected["open"], "merged": expected["merged"], "closed": expected["closed_unmerged"]}
    hours = ants.rows(
        "select number, epoch(merged_at - created_at) / 3600 from core.pull_requests where state = 'merged'"
    )
    assert {str(number): value for number, value in hours} == pytest.approx(expected["merge_hours_by_pr"], abs=1e-9)
    median = ants.value("select median(epoch(merged_at - created_at) / 3600) from core.pull_requests")
    assert median == pytest.approx(expected["merge_hours"]["median"], abs=1e-9)
    weeks = ants.rows(
        "select strftime(merged_at, '%G-W%V'), count(*) from core.pull_requests where state = 'merged' group by all"
    )
    assert dict(weeks) == expected["merged_per_iso_week_utc"]
    forced = ants.rows("select number::varchar, force_pushes from core.pull_requests where force_pushes > 0")
    assert dict(forced) == expected["force_pushes_by_pr"]
    assert ants.value("select sum(reopenings) from core.pull_requests") == expected["reopened_events"]
    reviews = dict(ants.rows("select upper(state), count(*) from core.reviews group by all"))
    assert reviews == expected["reviews_by_state"]
    shas = ants.value(
        "select count(distinct sha) from (select unnest(commit_shas) as sha from raw.github_pull_requests)"
    )
    assert shas == expected["distinct_commits"]
    assert ants.value("select count(*) from ops.dead_letters") == 0


def test_the_recording_agrees_with_devlake(ants: Lake, captures: Path) -> None:
    with (captures / "github" / "devlake_expected" / "pull_requests.csv").open(newline="") as file:
        theirs = {
            (
                int(row["pull_request_key"]),
                row["status"].lower(),
                row["author_name"],
                _time(row["created_date"]),
                _time(row["merged_date"]),
                _time(row["closed_date"]),
                row["merge_commit_sha"] if row["status"] == "MERGED" else None,
                row["head_commit_sha"],
                row["head_ref"],
                row["base_ref"],
            )
            for row in csv.DictReader(file)
        }
    ours = ants.rows(
        "select pull.number, pull.state, raw.author_login, pull.created_at, pull.merged_at, pull.closed_at, "
        "pull.merge_commit_sha, raw.head_sha, raw.head_ref, raw.base_ref "
        "from core.pull_requests as pull join raw.github_pull_requests as raw using (repo, number)"
    )
    assert len(ours) == 49
    assert set(ours) == theirs
    with (captures / "github" / "devlake_expected" / "_tool_github_pull_request_reviews.csv").open(newline="") as file:
        reviews = {
            (int(r["github_id"]), r["state"].lower(), _time(r["github_submit_at"])) for r in csv.DictReader(file)
        }
    assert set(ants.rows("select review_id, state, submitted_at from core.reviews")) == reviews


def test_the_recording_gives_devlakes_cycle_times(ants: Lake, expected: Any) -> None:
    """Its definitions, not ours: any comment by somebody else counts as the first, bots included."""
    spans = ants.rows(
        """
        with answers as (
            select pull.number, min(said.at) as first_at
            from raw.github_pull_requests as pull
            join (
                select number, actor_login as login, created_at as at from raw.github_events
                where event in ('commented', 'line_commented')
                union all
                select number, author_login, submitted_at from raw.github_reviews
            ) as said on pull.number = said.number and coalesce(said.login <> pull.author_login, true)
            group by pull.number
        )
        select
            pull.number,
            epoch(pull.created_at - pull.first_commit_at),
            epoch(answers.first_at - pull.created_at),
            epoch(pull.merged_at - answers.first_at),
            epoch(pull.merged_at - pull.created_at)
        from core.pull_requests as pull left join answers using (number)
        where pull.state = 'merged'
        """
    )
    found = {}
    for number, coding, pickup, review, open_for in spans:
        coding_min = _minutes(coding)
        found[str(number)] = {
            "coding_min": coding_min,
            "pickup_min": _minutes(pickup),
            "review_min": _minutes(review),
            "deploy_min": None,
            "cycle_min": (coding_min or 0) + math.ceil(open_for / 60),
        }
    assert found == expected["devlake_cycle_by_merged_pr"]


def _minutes(seconds: float | None) -> int | None:
    minutes = None if seconds is None else math.ceil(seconds / 60)
    return minutes if minutes is not None and minutes >= 0 else None


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text).replace(tzinfo=None) if text else None
