"""Servers of other habits than github.com's, and those that have, or show, only a part: what is there arrives.

Belongs here: addresses, links, redirects, page sizes, what is not shown, and to whom the token is sent.
Does not: faults that pass (`test_faults.py`).
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from prodlens_pipeline.settings import GitHubRepository
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline_tests.delivery.github.fake import START, Hub, Request, serving
from prodlens_pipeline_tests.delivery.github.project import NAME, collect, collected, raw_rows, settings_of, several
from prodlens_pipeline_tests.pipeline import lake_in_memory


def rows_of_a_plain_server(hub: Hub, root: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What the same repositories give where nothing is special."""
    plain = Hub()
    plain.repositories = hub.repositories
    with serving(plain), lake_in_memory() as lake:
        settings = settings_of(root / "plain", plain)
        collected(lake, settings)
        return raw_rows(lake, settings)


@pytest.mark.parametrize(
    ("has_graphql", "known_as"), [(True, None), (False, None), (False, "https://github.example.org/api")]
)
def test_an_enterprise_server_with_small_pages_and_few_headers_gives_the_same_rows(
    hub: Hub, lake: Lake, root: Path, has_graphql: bool, known_as: str | None
) -> None:
    hub.prefix, hub.page_cap, hub.is_terse = "/api/v3", 5, True
    hub.has_graphql, hub.known_as = has_graphql, known_as
    several(hub.repo(NAME), range(1, 18))
    hub.repo(NAME).pulls[4]["head"]["repo"] = None
    settings = settings_of(root, hub)
    collected(lake, settings)
    assert not [path for path in hub.paths() if path.startswith("/outside")]
    assert raw_rows(lake, settings) == rows_of_a_plain_server(hub, root)
    assert lake.value("select count(*) from ops.github_quota") == 0


@pytest.mark.parametrize(("resets_at", "known"), [("1900000000.5", 1), ("1900000000000", 0), ("-1", 0)])
def test_a_quota_that_cannot_be_read_is_not_known(hub: Hub, lake: Lake, root: Path, resets_at: str, known: int) -> None:
    hub.has_graphql = False
    hub.repo(NAME).push(1)
    hub.resets_at = resets_at
    collected(lake, settings_of(root, hub))
    found = lake.rows("select epoch(resets_at) from ops.github_quota where resource = 'core'")
    assert found == [(1_900_000_000,)] * known


def test_what_is_added_behind_a_full_last_page_is_found_also_on_small_pages(hub: Hub, lake: Lake, root: Path) -> None:
    hub.page_cap, hub.has_graphql = 5, False
    repo = hub.repo(NAME)
    several(repo, range(1, 13))
    for minute in range(5):
        repo.review(11, START + timedelta(days=1, minutes=minute), "cy")
    settings = settings_of(root, hub)
    collected(lake, settings)
    repo.review(11, START + timedelta(days=2), "bo")
    collected(lake, settings)
    assert len([row for row in raw_rows(lake, settings)["github_reviews"] if row[1] == 11]) == 6


@pytest.mark.parametrize("status", [301, 307])
def test_a_repository_that_is_renamed_while_it_is_read_is_followed(
    hub: Hub, lake: Lake, root: Path, status: int
) -> None:
    hub.redirect_status, hub.page_cap, hub.has_graphql = status, 5, False
    several(hub.repo(NAME), range(1, 13))

    def rename(request: Request) -> None:
        if request.query.get("page") == "2" and NAME in hub.repositories:
            hub.repositories["org/new"] = hub.repositories.pop(NAME)
            hub.renamed[NAME] = "org/new"

    hub.before = rename
    settings = settings_of(root, hub)
    collected(lake, settings)
    assert len(raw_rows(lake, settings)["github_pull_requests"]) == 12


def test_a_redirect_to_another_server_is_not_followed(hub: Hub, lake: Lake, root: Path) -> None:
    hub.renamed[NAME] = "org/new"
    with serving(Hub()) as other:
        several(other.repo("org/new"), range(1, 3))
        hub.known_as = other.url
        (problem,) = collect(lake, settings_of(root, hub)).problems
        assert not other.requests
    assert f"redirects to {other.url}, another server, which is not asked" in problem
    assert "api_url" in problem


def test_a_redirect_in_a_circle_ends(hub: Hub, lake: Lake, root: Path) -> None:
    hub.renamed = {NAME: "org/new", "org/new": NAME}
    (problem,) = collect(lake, settings_of(root, hub)).problems
    assert "redirected 5 times" in problem


@pytest.mark.parametrize(
    "api_url", ["http://ghe.example.com/api/v3", "http://10.0.0.7:8080", "http://127.0.0.1.nip.io"]
)
def test_the_token_is_not_sent_unencrypted(api_url: str) -> None:
    with pytest.raises(ValidationError, match=r"api_url\n.*must begin with https://: the token is sent to it"):
        GitHubRepository(type="github", name=NAME, api_url=api_url)


@pytest.mark.parametrize("host", ["localhost:3000", "127.0.0.1", "[::1]:80"])
def test_a_server_on_this_machine_needs_no_encryption(host: str) -> None:
    assert GitHubRepository(type="github", name=NAME, api_url=f"http://{host}").api_url == f"http://{host}"


PART_OF = {
    "/commits": "commits",
    "/reviews": "reviews",
    "/comments": "comments",
    "/events": "events",
    "/check-runs": "checks",
    "/status": "statuses",
}


@pytest.mark.parametrize(
    ("ending", "status"), [*zip(PART_OF, (403, 410, 404, 501, 422, 451), strict=True)], ids=PART_OF.values()
)
def test_a_part_that_is_not_shown_costs_itself_only(hub: Hub, lake: Lake, root: Path, ending: str, status: int) -> None:
    hub.has_graphql = False
    several(hub.repo(NAME), range(2, 7, 2))
    whole = rows_of_a_plain_server(hub, root)
    hub.fault = lambda request: status if request.path.endswith(ending) and request.path.count("/") > 4 else None
    settings = settings_of(root, hub)
    landing = collect(lake, settings)
    assert landing.notes == [f"repository {NAME}: GitHub does not show the {PART_OF[ending]} of 3 pull requests"]
    assert not landing.problems
    found = raw_rows(lake, settings)
    assert [row[1] for row in found["github_pull_requests"]] == [2, 4, 6]
    assert all([PART_OF[ending]] in row for row in found["github_pull_requests"])
    different = {name for name in whole if whole[name] != found[name]} - {"github_pull_requests"}
    assert different <= {"github_events", f"github_{PART_OF[ending]}", "github_reviews"}
    assert lake.value("select count(*) from ops.dead_letters") == 0


@pytest.mark.parametrize(
    ("ending", "status", "tables"),
    [
        ("/releases", 404, {"github_releases"}),
        ("/deployments", 403, {"github_deployments", "github_deployment_statuses"}),
        ("/actions/runs", 501, {"github_workflow_runs"}),
        ("/commits", 404, set()),
    ],
)
def test_a_list_that_is_not_shown_costs_itself_only(
    hub: Hub, lake: Lake, root: Path, ending: str, status: int, tables: set[str]
) -> None:
    several(hub.repo(NAME), range(10, 14))
    whole = rows_of_a_plain_server(hub, root)
    hub.fault = lambda request: status if request.path == f"/repos/{NAME}{ending}" else None
    settings = settings_of(root, hub)
    landing = collect(lake, settings)
    assert not landing.problems
    (note,) = landing.notes
    assert f"HTTP {status}" in note
    found = raw_rows(lake, settings)
    assert {name for name, rows in whole.items() if rows != found[name]} == tables


def test_checks_that_graphql_may_not_show_are_unknown_and_the_rest_is_known(hub: Hub, lake: Lake, root: Path) -> None:
    several(hub.repo(NAME), range(1, 31))
    hub.fault = lambda request: "rollup" if request.path == "/graphql" else None
    settings = settings_of(root, hub)
    landing = collect(lake, settings)
    assert not landing.problems
    assert landing.notes == [
        f"repository {NAME}: GitHub does not show the checks of 30 pull requests",
        f"repository {NAME}: GitHub does not show the statuses of 30 pull requests",
    ]
    assert not [path for path in hub.paths() if "/pulls/" in path]
    found = raw_rows(lake, settings)
    assert len(found["github_reviews"]) == 45
    assert not found["github_checks"]
