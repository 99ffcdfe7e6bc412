"""A GitHub server for tests: REST v3 and the part of the GraphQL schema that is asked for, over real HTTP.

Belongs here: repositories in memory, answers as GitHub documents them, faults on demand, and a log of requests.
Does not: anything of the program under test.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from graphql import GraphQLError, GraphQLSchema, build_schema, graphql_sync

Json = dict[str, Any]
TOKEN = "ghp_" + "FakeTokenThatMustNotLeak0123456789ab"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def user(login: str | None) -> Json | None:
    """An account as REST shows it: None for a deleted one."""
    return None if login is None else {"login": login, "type": "Bot" if login.endswith("[bot]") else "User"}


@dataclass
class Repo:
    """A repository: everything in the form in which REST has it, by number (checks and statuses by commit)."""

    pulls: dict[int, Json] = field(default_factory=dict)
    reviews: dict[int, list[Json]] = field(default_factory=dict)
    comments: dict[int, list[Json]] = field(default_factory=dict)
    review_comments: dict[int, list[Json]] = field(default_factory=dict)
    events: dict[int, list[Json]] = field(default_factory=dict)
    commits: dict[int, list[Json]] = field(default_factory=dict)
    checks: dict[str, list[Json]] = field(default_factory=dict)
    statuses: dict[str, list[Json]] = field(default_factory=dict)
    releases: list[Json] = field(default_factory=list)
    """The newest last, like deployments and runs."""
    deployments: list[Json] = field(default_factory=list)
    deployment_statuses: dict[int, list[Json]] = field(default_factory=dict)
    runs: list[Json] = field(default_factory=list)
    history: list[Json] = field(default_factory=list)
    """The default branch, oldest first, with `stats` as REST has them of a single commit."""

    def open(self, number: int, at: datetime, author: str | None = "ana", **fields: Any) -> Json:
        """Add an open pull request with one commit, written an hour before."""
        sha = hashlib.sha1(f"{number}".encode(), usedforsecurity=False).hexdigest()
        self.commits[number] = [commit(sha, at - timedelta(hours=1), author)]
        self.pulls[number] = {
            "number": number,
            "state": "open",
            "draft": False,
            "title": f"Change {number}",
            "body": "Secret plans in the body",
            "user": user(author),
            "created_at": stamp(at),
            "updated_at": stamp(at),
            "closed_at": None,
            "merged_at": None,
            "merge_commit_sha": f"{number:040x}",
            "head": {"ref": f"branch-{number}", "sha": sha, "repo": None},
            "base": {"ref": "main"},
            "additions": 10 * number,
            "deletions": number,
            "changed_files": 1,
        } | fields
        return self.pulls[number]

    def push(self, number: int, *, parents: list[str] | None = None, hours: float | None = None) -> str:
        """Add a commit on top of the default branch; returns its id."""
        at = stamp(START + timedelta(hours=number if hours is None else hours))
        who = {"name": "Ana", "email": "ana@example.com", "date": at}
        above = [self.history[-1]["sha"]] if self.history else []
        self.history.append(
            {
                "sha": f"{number:040x}",
                "commit": {"message": f"Step {number}", "author": who, "committer": who},
                "author": None,
                "parents": [{"sha": sha} for sha in (above if parents is None else parents)],
                "stats": {"additions": number, "deletions": 1},
            }
        )
        return f"{number:040x}"

    def close(self, number: int, at: datetime, *, merged: bool) -> None:
        self.pulls[number] |= {"state": "closed", "closed_at": stamp(at), "merged_at": stamp(at) if merged else None}
        if merged:
            self.event(number, "merged", at)
        self.event(number, "closed", at)

    def review(self, number: int, at: datetime, login: str | None, state: str = "COMMENTED", comments: int = 0) -> None:
        review_id = 1000 * number + len(self.reviews.get(number, []))
        one = {
            "id": review_id,
            "user": user(login),
            "state": state,
            "submitted_at": stamp(at),
            "body": "Secret opinion",
        }
        self.reviews.setdefault(number, []).append(one)
        for _ in range(comments):
            self.review_comments.setdefault(number, []).append(
                {
                    "id": 1,
                    "user": user(login),
                    "created_at": stamp(at),
                    "pull_request_review_id": review_id,
                    "body": "x",
                }
            )
        self._touch(number, at)

    def comment(self, number: int, at: datetime, login: str | None) -> None:
        self.comments.setdefault(number, []).append({"user": user(login), "created_at": stamp(at), "body": "Secret"})
        self._touch(number, at)

    def event(self, number: int, name: str, at: datetime, login: str | None = "ana") -> None:
        self.events.setdefault(number, []).append({"event": name, "actor": user(login), "created_at": stamp(at)})
        self._touch(number, at)

    def check(self, number: int, conclusion: str | None, at: datetime) -> None:
        """Add a check run on the head; it is still running where `conclusion` is None. Its end updates nothing."""
        sha = self.pulls[number]["head"]["sha"]
        runs = self.checks.setdefault(sha, [])
        runs.append(
            {
                "id": 500 * number + len(runs),
                "name": f"check-{len(runs)}",
                "head_sha": sha,
                "status": "completed" if conclusion else "in_progress",
                "conclusion": conclusion,
                "started_at": stamp(at),
                "completed_at": stamp(at + timedelta(minutes=5)) if conclusion else None,
            }
        )

    def status(self, number: int, state: str, at: datetime, context: str = "ci/elsewhere") -> None:
        """Report a commit status on the head: the latest of a context is the one that counts."""
        sha = self.pulls[number]["head"]["sha"]
        others = [one for one in self.statuses.get(sha, []) if one["context"] != context]
        self.statuses[sha] = [
            *others,
            {"context": context, "state": state, "created_at": stamp(at), "description": "x"},
        ]

    def release(self, number: int, at: datetime, **fields: Any) -> Json:
        self.releases.append(
            {
                "id": number,
                "tag_name": f"v{number}",
                "name": f"Version {number}",
                "body": "Secret notes",
                "draft": False,
                "prerelease": False,
                "author": user("ana"),
                "created_at": stamp(at),
                "published_at": stamp(at),
            }
            | fields
        )
        return self.releases[-1]

    def deploy(self, number: int, at: datetime, *states: str, environment: str = "production") -> None:
        """Add a deployment whose states follow one another by a minute."""
        self.deployments.append(
            {
                "id": number,
                "node_id": f"DE_{number}",
                "sha": f"{number:040x}",
                "ref": "main",
                "task": "deploy",
                "environment": environment,
                "production_environment": environment == "production",
                "creator": user("deployer[bot]"),
                "created_at": stamp(at),
                "updated_at": stamp(at),
            }
        )
        for minute, state in enumerate(states, start=1):
            self.become(number, state, at + timedelta(minutes=minute))

    def become(self, deployment: int, state: str, at: datetime) -> None:
        one = {"id": deployment, "state": state, "created_at": stamp(at), "description": "Secret outcome"}
        self.deployment_statuses.setdefault(deployment, []).insert(0, one)  # the newest first

    def run(self, number: int, pull: int, conclusion: str | None, at: datetime) -> Json:
        """Add a workflow run on the head of a pull request; it goes on where `conclusion` is None."""
        head = self.pulls[pull]["head"]
        self.runs.append(
            {
                "id": number,
                "name": "build",
                "event": "pull_request",
                "head_sha": head["sha"],
                "head_branch": head["ref"],
                "status": "completed" if conclusion else "in_progress",
                "conclusion": conclusion,
                "run_attempt": 1,
                "pull_requests": [{"number": pull}],
                "created_at": stamp(at),
                "run_started_at": stamp(at),
                "updated_at": stamp(at),
            }
        )
        return self.runs[-1]

    def detail(self, number: int) -> Json:
        return self.pulls[number] | {
            "commits": len(self.commits.get(number, [])),
            "comments": len(self.comments.get(number, [])),
            "review_comments": len(self.review_comments.get(number, [])),
        }

    def listed(self) -> list[Json]:
        """In the form of the list, which lacks the details, the last updated first."""
        missing = {"additions", "deletions", "changed_files"}
        pulls = [{k: v for k, v in pull.items() if k not in missing} for pull in self.pulls.values()]
        return sorted(pulls, key=lambda pull: (pull["updated_at"], pull["number"]), reverse=True)

    def _touch(self, number: int, at: datetime) -> None:
        self.pulls[number]["updated_at"] = max(self.pulls[number]["updated_at"], stamp(at))


def commit(sha: str, at: datetime, author: str | None, message: str = "Do it") -> Json:
    who = author or "ghost"
    return {
        "sha": sha,
        "commit": {"message": message, "author": {"name": who, "email": f"{who}@example.com", "date": stamp(at)}},
        "author": user(author),
    }


@dataclass(frozen=True)
class Request:
    """`query` holds the variables of a GraphQL query."""

    verb: str
    path: str
    query: dict[str, str]


Fault = str | int
"""A status, or: drop, truncate, garbage, html, secondary (limit), primary (limit), primary for an hour, and of GraphQL:
graphql (an error beside the data), rollup (that checks are not shown), errors (and no data)."""
_IN_ANSWERS = ("truncate", "graphql", "rollup", "errors")


class Hub:
    """The server's memory. `fault` is asked before each answer; `before` is called with each request.

    `prefix` is where REST begins, as on a GitHub Enterprise server; `known_as` is how the server calls itself in links
    and redirects; `page_cap` is the most that it gives by page; `is_terse` one sends neither ETags nor limits.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repo] = {}
        self.renamed: dict[str, str] = {}
        self.statuses: dict[str, int] = {}
        self.requests: list[tuple[Request, int]] = []
        self.fault: Callable[[Request], Fault | None] = lambda _: None
        self.before: Callable[[Request], None] = lambda _: None
        self.has_graphql = True
        self.remaining = 5000
        self.resets_at: int | str = 1_900_000_000
        self.prefix = ""
        self.origin = ""
        self.known_as: str | None = None
        self.page_cap = 100
        self.is_terse = False
        self.redirect_status = 301

    @property
    def url(self) -> str:
        """What `api_url` is to be."""
        return self.origin + self.prefix

    def address(self, path: str) -> str:
        """How the server says where something is."""
        return f"{self.known_as or self.url}{path}"

    def repo(self, name: str) -> Repo:
        return self.repositories.setdefault(name, Repo())

    def billed(self) -> int:
        return sum(status != 304 for _, status in self.requests)

    def paths(self) -> list[str]:
        return [request.path for request, _ in self.requests]

    def forget(self) -> None:
        self.requests.clear()

    def answer(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        """Status, JSON, headers."""
        parts = request.path.strip("/").split("/")
        if parts[0] in ("orgs", "users") and parts[2:] == ["repos"]:
            found = [{"full_name": name} for name in self.repositories if name.startswith(f"{parts[1]}/")]
            return (200, *self._page(found, request)) if found or parts[0] == "users" else _not_found()
        name = "/".join(parts[1:3])
        if parts[0] != "repos":
            return _not_found()
        if name in self.statuses:
            return self.statuses[name], {"message": "Repository access blocked"}, {}
        if name in self.renamed:
            target = self.address("/".join(["/repos", self.renamed[name], *parts[3:]]))
            return self.redirect_status, {"message": "Moved Permanently"}, {"Location": target}
        if name not in self.repositories:
            return _not_found()
        return self._resource(self.repositories[name], name, parts[3:], request)

    def _resource(self, repo: Repo, name: str, parts: list[str], request: Request) -> tuple[int, Any, dict[str, str]]:
        match parts:
            case []:
                return 200, {"full_name": name, "private": True}, {}
            case ["pulls"]:
                assert request.query["state"] == "all"
                assert (request.query["sort"], request.query["direction"]) == ("updated", "desc")
                return 200, *self._page(repo.listed(), request)
            case ["commits"]:
                newest_first = [{k: v for k, v in one.items() if k != "stats"} for one in repo.history[::-1]]
                return (200, *self._page(newest_first, request)) if newest_first else (409, {"message": "Empty"}, {})
            case ["pulls", number] if int(number) in repo.pulls:
                return 200, repo.detail(int(number)), {}
            case ["pulls" | "issues", number, kind]:
                lists = {
                    ("pulls", "reviews"): repo.reviews,
                    ("pulls", "comments"): repo.review_comments,
                    ("pulls", "commits"): repo.commits,
                    ("issues", "comments"): repo.comments,
                    ("issues", "events"): repo.events,
                }
                return 200, *self._page(lists[parts[0], kind].get(int(number), []), request)
        return self._feed(repo, parts, request)

    def _feed(self, repo: Repo, parts: list[str], request: Request) -> tuple[int, Any, dict[str, str]]:
        match parts:
            case ["commits", sha, "check-runs"]:
                return 200, *self._named("check_runs", repo.checks.get(sha, []), request)
            case ["commits", sha, "status"]:
                return 200, *self._named("statuses", repo.statuses.get(sha, []), request)
            case ["actions", "runs"]:
                return 200, *self._named("workflow_runs", repo.runs[::-1], request)
            case ["releases"]:
                return 200, *self._page(repo.releases[::-1], request)
            case ["deployments"]:
                return 200, *self._page(repo.deployments[::-1], request)
            case ["deployments", number, "statuses"]:
                return 200, *self._page(repo.deployment_statuses.get(int(number), []), request)
        return _not_found()

    def _named(self, name: str, items: list[Json], request: Request) -> tuple[Json, dict[str, str]]:
        """A page inside of an object, as the younger parts of the API have it."""
        page, headers = self._page(items, request)
        return {"total_count": len(items), name: page}, headers

    def _page(self, items: list[Json], request: Request) -> tuple[list[Json], dict[str, str]]:
        size = min(int(request.query.get("per_page", 30)), self.page_cap)
        number = int(request.query.get("page", 1))
        headers = {}
        if number * size < len(items):
            next_page, first = (self.address(f"{request.path}?page={page}&per_page={size}") for page in (number + 1, 1))
            headers["Link"] = f'<{next_page}>; rel="next", <{first}>; rel="first"'
        return items[(number - 1) * size : number * size], headers


def _not_found() -> tuple[int, Any, dict[str, str]]:
    return 404, {"message": "Not Found"}, {}


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serve `hub` on a free port of this machine."""

    class Handler(_Handler):
        memory = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.origin = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body in one packet: the client would hold back its acknowledgement for 40 ms.
    wbufsize = -1
    memory: Hub

    def do_GET(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        self._serve(json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or b"{}"))

    def log_message(self, *_: Any) -> None:
        return

    def _serve(self, question: Json) -> None:
        address = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(address.query).items()}
        query |= {key: str(value) for key, value in question.get("variables", {}).items()}
        request = Request(self.command, self._own_path(address.path), query)
        self.memory.before(request)
        fault = self.memory.fault(request)
        if fault is None or fault in _IN_ANSWERS:
            status, content, headers = self._answer(request, question, fault)
        else:
            status, content, headers = _broken(fault)
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        etag = f'W/"{hashlib.sha256(body).hexdigest()}"'
        if status == 200 and self.headers["If-None-Match"] == etag:
            status, body = 304, b""
        self.memory.requests.append((request, status))
        self.memory.remaining -= status != 304
        if fault == "drop":
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if not self.memory.is_terse:
            headers = self._limits() | {"ETag": etag} | headers
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if fault == "truncate" else body)
        self.close_connection = fault == "truncate"

    def _limits(self) -> dict[str, str]:
        """Both resources draw on one number here, but have limits of their own."""
        is_graphql = self.command == "POST"
        return {
            "X-RateLimit-Limit": "6000" if is_graphql else "5000",
            "X-RateLimit-Remaining": str(self.memory.remaining),
            "X-RateLimit-Reset": str(self.memory.resets_at),
            "X-RateLimit-Resource": "graphql" if is_graphql else "core",
        }

    def _own_path(self, path: str) -> str:
        """Without the prefix: GraphQL is beside the version of REST (`/api/v3`, `/api/graphql`)."""
        prefix = self.memory.prefix
        if path == f"{prefix.removesuffix('/v3')}/graphql":
            return "/graphql"
        return path.removeprefix(prefix) if path.startswith(f"{prefix}/") else f"/outside{path}"

    def _answer(self, request: Request, question: Json, fault: Fault | None) -> tuple[int, Any, dict[str, str]]:
        expected = f"token {TOKEN}"
        given = self.headers["Authorization"]
        if request.path == "/app/installations/7/access_tokens" and given.startswith("Bearer "):
            expires = stamp(datetime.now(UTC) + timedelta(hours=1))
            return 201, {"token": TOKEN, "expires_at": expires, "permissions": {}, "repository_selection": "all"}, {}
        if given and given != expected:
            return 401, {"message": f"Bad credentials: {given}"}, {}
        if request.path != "/graphql":
            return self.memory.answer(request)
        if not given:
            return 401, {"message": "This endpoint requires you to be authenticated."}, {}
        if not self.memory.has_graphql:
            return _not_found()
        if fault == "errors":
            return 200, {"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]}, {}
        return 200, _execute(self.memory, question, fault), {}


def _broken(fault: Fault) -> tuple[int, Any, dict[str, str]]:
    match fault:
        case "garbage":
            return 200, b'[{"number": 1, "title": "cut', {}
        case "html":
            return 200, b"<html><body>Please sign in</body></html>", {}
        case "secondary":
            message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
            return 403, {"message": message}, {"Retry-After": "0"}
        case "primary" | "primary for an hour":
            wait = -1 if fault == "primary" else 3600
            headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + wait)}
            return 403, {"message": "API rate limit exceeded for user"}, headers
        case int():
            return fault, {"message": f"Something about {fault}"}, {}
    return 500, {}, {}


# --- GraphQL ---------------------------------------------------------------------------------------------------


@cache
def _schema() -> GraphQLSchema:
    return build_schema(Path(__file__).with_name("schema.graphql").read_text(encoding="utf-8"))


def _execute(hub: Hub, question: Json, fault: Fault | None) -> Json:
    def repository(_: Any, owner: str, name: str) -> Json | None:
        full_name = f"{owner}/{name}"
        repo = hub.repositories.get(full_name)
        return None if repo is None or full_name in hub.statuses else _repository(repo, fault)

    def nodes(_: Any, ids: list[str]) -> list[Json | None]:
        made = {one["node_id"]: (repo, one) for repo in hub.repositories.values() for one in repo.deployments}
        return [_deployment(*made[one]) if one in made else None for one in ids]

    result = graphql_sync(
        _schema(),
        question["query"],
        {"repository": repository, "nodes": nodes},
        variable_values=question["variables"],
    )
    return {"data": result.data} | ({"errors": [error.formatted for error in result.errors]} if result.errors else {})


def _repository(repo: Repo, fault: Fault | None) -> Json:
    def pull_request(_: Any, number: int) -> Json:
        if number not in repo.pulls:
            raise GraphQLError(f"Could not resolve to a PullRequest with the number of {number}.")
        return _pull(repo, number, fault)

    def pull_requests(_: Any, first: int, orderBy: Json, after: str | None = None) -> Json:  # noqa: N803
        assert orderBy == {"field": "UPDATED_AT", "direction": "DESC"}
        start = int(after or 0)
        numbers = [pull["number"] for pull in repo.listed()]
        nodes: list[Any] = [_pull(repo, number, fault) for number in numbers[start : start + first]]
        if fault == "graphql" and nodes:
            nodes[-1] = GraphQLError("Something went wrong while executing your query.")
        page = {"hasNextPage": start + first < len(numbers), "endCursor": str(start + first)}
        return {"pageInfo": page, "nodes": nodes}

    return {"pullRequest": pull_request, "pullRequests": pull_requests, "defaultBranchRef": _branch(repo)}


def _branch(repo: Repo) -> Json | None:
    def history(_: Any, first: int, after: str | None = None) -> Json:
        start = int(after or 0)
        nodes = [_landed(item) for item in repo.history[::-1][start : start + first]]
        page = {"hasNextPage": start + first < len(repo.history), "endCursor": str(start + first)}
        return {"pageInfo": page, "nodes": nodes}

    return {"target": {"__typename": "Commit", "history": history}} if repo.history else None


def _landed(item: Json) -> Json:
    return _commit(item) | {
        "additions": item["stats"]["additions"],
        "deletions": item["stats"]["deletions"],
        "committedDate": item["commit"]["committer"]["date"],
        "committer": item["commit"]["committer"],
        "parents": {"nodes": [{"oid": parent["sha"]} for parent in item["parents"]]},
    }


def _pull(repo: Repo, number: int, fault: Fault | None) -> Json:
    pull = repo.pulls[number]
    sha = pull["head"]["sha"]
    commits = repo.commits.get(number, [])

    def commits_of(_: Any, first: int | None = None, last: int | None = None) -> Json:
        if last:
            hidden = GraphQLError("Resource not accessible by integration")
            rollup = hidden if fault == "rollup" else _rollup(repo.checks.get(sha, []), repo.statuses.get(sha, []))
            return _connection([{"commit": {"oid": sha, "statusCheckRollup": rollup}}], last)
        return _connection([{"commit": _commit(item)} for item in commits], first or 100)

    return {
        "number": number,
        "state": "MERGED" if pull["merged_at"] else pull["state"].upper(),
        "isDraft": pull["draft"],
        "title": pull["title"],
        "body": pull["body"],
        "author": _actor(pull["user"]),
        "createdAt": pull["created_at"],
        "updatedAt": pull["updated_at"],
        "closedAt": pull["closed_at"],
        "mergedAt": pull["merged_at"],
        "mergeCommit": {"oid": pull["merge_commit_sha"]} if pull["merged_at"] else None,
        "additions": pull.get("additions", 0),
        "deletions": pull.get("deletions", 0),
        "changedFiles": pull.get("changed_files", 0),
        "headRefOid": sha,
        "headRefName": pull["head"]["ref"],
        "baseRefName": pull["base"]["ref"],
        "commits": commits_of,
        "reviews": lambda _, first: _connection(
            [_review(repo, number, r) for r in repo.reviews.get(number, [])], first
        ),
        "comments": lambda _, first: _connection([_comment(c) for c in repo.comments.get(number, [])], first),
        "timelineItems": lambda _, first, itemTypes: _connection(  # noqa: N803
            [_timeline_item(e) for e in repo.events.get(number, []) if e["event"].upper() + "_EVENT" in itemTypes],
            first,
        ),
    }


def _connection(nodes: list[Any], first: int) -> Json:
    return {"totalCount": len(nodes), "pageInfo": {"hasNextPage": len(nodes) > first}, "nodes": nodes[:first]}


def _actor(account: Json | None) -> Json | None:
    """GraphQL does not put [bot] behind the login of an App."""
    return account and {"__typename": account.get("type", "User"), "login": account["login"].removesuffix("[bot]")}


def _commit(item: Json) -> Json:
    author = item["commit"]["author"]
    return {
        "oid": item["sha"],
        "message": item["commit"]["message"],
        "authoredDate": author["date"],
        "author": {
            "name": author["name"],
            "email": author["email"],
            "user": item["author"] and {"login": item["author"]["login"]},
        },
    }


def _review(repo: Repo, number: int, review: Json) -> Json:
    own = [c for c in repo.review_comments.get(number, []) if c.get("pull_request_review_id") == review["id"]]
    return {
        "databaseId": review["id"],
        "state": review["state"],
        "submittedAt": review["submitted_at"],
        "author": _actor(review["user"]),
        "comments": lambda _, first: _connection([_comment(item) for item in own], first),
    }


def _comment(item: Json) -> Json:
    return {"createdAt": item["created_at"], "author": _actor(item["user"])}


def _timeline_item(event: Json) -> Json:
    name = "".join(part.capitalize() for part in event["event"].split("_")) + "Event"
    return {"__typename": name, "createdAt": event["created_at"], "actor": _actor(event["actor"])}


def _deployment(repo: Repo, deployment: Json) -> Json:
    statuses = repo.deployment_statuses.get(deployment["id"], [])
    nodes = [{"state": one["state"].upper(), "createdAt": one["created_at"]} for one in statuses]
    return {
        "__typename": "Deployment",
        "id": deployment["node_id"],
        "databaseId": deployment["id"],
        "statuses": lambda _, first: _connection(nodes, first),
    }


def _rollup(runs: list[Json], statuses: list[Json]) -> Json | None:
    nodes: list[Json] = [
        {
            "__typename": "CheckRun",
            "databaseId": run["id"],
            "name": run["name"],
            "status": run["status"].upper(),
            "conclusion": run["conclusion"] and run["conclusion"].upper(),
            "startedAt": run["started_at"],
            "completedAt": run["completed_at"],
        }
        for run in deepcopy(runs)
    ]
    nodes += [
        {
            "__typename": "StatusContext",
            "context": one["context"],
            "state": one["state"].upper(),
            "createdAt": one["created_at"],
        }
        for one in statuses
    ]
    return {"contexts": lambda _, first: _connection(nodes, first)} if nodes else None
