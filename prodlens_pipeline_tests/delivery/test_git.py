import json
import os
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodlens_pipeline.delivery.commit_messages import CommitFacts, Identity, classify, is_bot
from prodlens_pipeline.delivery.git import CommitRecord, GitError, mapped_identities, read_commits, remote_name

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
MONDAY = 1_767_607_200  # 2026-01-05T10:00:00Z


@dataclass(frozen=True)
class Sandbox:
    """A real repository to write to."""

    path: Path

    def git(self, *arguments: str, given: bytes = b"", at: int = MONDAY, author: str = "Ana <ana@example.com>") -> str:
        name, email = author.rstrip(">").split(" <")
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.path), "GIT_CONFIG_NOSYSTEM": "1"}
        for role in ("AUTHOR", "COMMITTER"):
            environment |= {
                f"GIT_{role}_NAME": name,
                f"GIT_{role}_EMAIL": email,
                f"GIT_{role}_DATE": f"{at} +0500",
            }
        done = subprocess.run(
            ["git", "-C", str(self.path), *arguments],
            input=given,
            env=environment,
            capture_output=True,
            check=True,
        )
        return done.stdout.decode().strip()

    def commit(self, message: str, files: dict[str, str | bytes] | None = None, **identity: Any) -> str:
        for name, content in (files or {}).items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
            self.git("add", "--", name)
        self.git("commit", "--quiet", "--allow-empty", "-m", message, **identity)
        return self.head()

    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def write_commit(self, raw: bytes, branch: str) -> str:
        """Write a commit object that the usual commands would refuse."""
        sha = self.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", given=raw)
        self.git("update-ref", f"refs/heads/{branch}", sha)
        return sha


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return initialised(tmp_path / "app")


def initialised(path: Path, *options: str) -> Sandbox:
    path.mkdir(parents=True)
    sandbox = Sandbox(path)
    sandbox.git("init", "--quiet", "--initial-branch=main", *options)
    return sandbox


def cloned(origin: Sandbox, path: Path, *options: str) -> Sandbox:
    origin.git("clone", "--quiet", *options, origin.path.as_uri(), str(path))
    return Sandbox(path)


def records(repository: Path, **options: Any) -> dict[str, CommitRecord]:
    return {record["sha"]: record for record in read_commits(repository, **options).commits}


# A real history


@pytest.fixture(scope="module")
def real_history(captures: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[CommitRecord, CommitFacts]]:
    home = tmp_path_factory.mktemp("real")
    clone = home / "clone"
    Sandbox(home).git("clone", "--quiet", str(captures / "github" / "repo.bundle"), str(clone))
    return [(record, facts_of(record)) for record in read_commits(clone).commits]


def facts_of(record: CommitRecord) -> CommitFacts:
    author = Identity(record["recorded_author_name"], record["recorded_author_email"])
    return classify(record["message"], record["parents"], author)


@pytest.fixture(scope="module")
def expected(captures: Path) -> dict[str, Any]:
    truth: dict[str, Any] = json.loads((captures / "github" / "expected.json").read_text())["bundle"]
    return truth


def test_the_real_history_has_the_expected_commits_and_pull_requests(
    real_history: list[tuple[CommitRecord, CommitFacts]], expected: dict[str, Any]
) -> None:
    facts = [facts for _, facts in real_history]
    squashed = [each.pr_number for each in facts if each.pr_basis == "squash"]
    merged = [each.pr_number for each in facts if each.pr_basis == "merge"]

    assert len({record["sha"] for record, _ in real_history}) == len(real_history) == expected["commits"]
    assert sum(each.is_merge for each in facts) == expected["merges"]
    assert len(squashed) == expected["squash_pr_commits"]
    assert len(set(squashed)) == expected["distinct_squash_prs"]
    assert len(merged) == expected["merge_button_prs"]
    assert len({*squashed, *merged}) == expected["distinct_prs_total"]


def test_the_real_history_has_the_expected_reverts(
    real_history: list[tuple[CommitRecord, CommitFacts]], expected: dict[str, Any]
) -> None:
    found = {record["sha"]: facts for record, facts in real_history if facts.is_revert}
    landed = {facts.pr_number: record["sha"] for record, facts in real_history if facts.pr_number}

    assert found.keys() == {revert["sha"] for revert in expected["reverts"]}
    for revert in expected["reverts"]:
        facts = found[revert["sha"]]
        assert facts.reverts_pr == revert["reverts_pr"]
        assert (facts.reverts_sha or landed.get(facts.reverts_pr or 0)) == revert["reverts_sha"]


def test_the_real_history_has_the_expected_marks_of_ai_tools(
    real_history: list[tuple[CommitRecord, CommitFacts]], expected: dict[str, Any]
) -> None:
    by_trailer = [record["sha"] for record, facts in real_history if "coauthor" in facts.ai_basis]
    tools = Counter(facts.ai_tool for _, facts in real_history if facts.ai_assisted)

    assert sorted(by_trailer) == expected["ai_trailer_shas"]
    assert sum("message" in facts.ai_basis for _, facts in real_history) == expected["generated_with_claude_commits"]
    assert sum("author" in facts.ai_basis for _, facts in real_history) == expected["ai_authored_commits"]
    assert sum(bool(facts.coauthors) for _, facts in real_history) == expected["coauthor_trailer_commits"]
    assert tools == {"claude": 27, "copilot": 4}


def test_the_real_history_has_the_expected_lines_authors_and_days(
    real_history: list[tuple[CommitRecord, CommitFacts]], expected: dict[str, Any]
) -> None:
    changes = [record for record, facts in real_history if not facts.is_merge]
    moved = sum(record["moved_lines"] or 0 for record in changes)
    days = Counter(f"{record['author_email']}|{(record['authored_at'] or '')[:10]}" for record, _ in real_history)
    bots = [record for record, _ in real_history if is_bot(record["author_name"], record["author_email"])]

    # The expected lines were counted without detecting renames.
    assert sum(record["additions"] or 0 for record in changes) + moved == expected["additions_nonmerge"]
    assert sum(record["deletions"] or 0 for record in changes) + moved == expected["deletions_nonmerge"]
    assert moved > 0
    assert days == expected["commits_per_author_email_per_day_utc_all"]
    assert len(bots) == expected["bot_commits"]


def test_the_clone_tells_the_same_as_the_recording(
    captures: Path, real_history: list[tuple[CommitRecord, CommitFacts]]
) -> None:
    recording = (captures / "github" / "mcp_sample" / "commits.jsonl").read_bytes().splitlines()
    recorded = {commit["sha"]: commit for commit in map(orjson.loads, recording)}

    def of_recording(commit: dict[str, Any]) -> list[Any]:
        details, stats = commit["commit"], commit["stats"]
        parents = [parent["sha"] for parent in commit["parents"]]
        dates = [details["author"]["date"], details["committer"]["date"]]
        return [details["message"], parents, *dates, stats["additions"], stats["deletions"]]

    def of_clone(record: CommitRecord) -> list[Any]:
        moved = record["moved_lines"] or 0
        lines = [(record["additions"] or 0) + moved, (record["deletions"] or 0) + moved]
        # The recording has Unix line ends only.
        message = record["message"].replace("\r\n", "\n")
        return [message, record["parents"], record["authored_at"], record["committed_at"], *lines]

    assert {record["sha"]: of_clone(record) for record, _ in real_history} == {
        sha: of_recording(commit) for sha, commit in recorded.items()
    }


# One commit


def patch_id(sandbox: Sandbox, sha: str, *options: str) -> str:
    patch = sandbox.git("show", "--no-renames", *options, sha)
    return sandbox.git("patch-id", "--stable", given=(patch + "\n").encode()).split()[0]


def test_a_commit_is_read_with_all_its_facts(sandbox: Sandbox) -> None:
    first = sandbox.commit("Start", {"a.txt": "1\n2\n"})
    second = sandbox.commit(
        "Change (#7)\n\nWhy — body\n",
        {"a.txt": "1\nzwei\n3\n", "b.txt": "x\n"},
        at=MONDAY + 60,
        author="Ben Bo <ben@example.com>",
    )

    assert list(read_commits(sandbox.path).commits) == [
        {
            "sha": first,
            "parents": [],
            "author_name": "Ana",
            "author_email": "ana@example.com",
            "recorded_author_name": "Ana",
            "recorded_author_email": "ana@example.com",
            "authored_at": "2026-01-05T10:00:00Z",
            "committer_email": "ana@example.com",
            "committed_at": "2026-01-05T10:00:00Z",
            "message": "Start",
            "files": [{"path": "a.txt", "additions": 2, "deletions": 0}],
            "additions": 2,
            "deletions": 0,
            "moved_lines": 0,
            "pr_commits": [],
            "patch_id": patch_id(sandbox, first),
            "inverse_patch_id": patch_id(sandbox, first, "-R", "--src-prefix=b/", "--dst-prefix=a/"),
            "changes": [[{"path": "a.txt", "old_path": None, "hunks": [0, 0, 1, 2], "moves": []}]],
        },
        {
            "sha": second,
            "parents": [first],
            "author_name": "Ben Bo",
            "author_email": "ben@example.com",
            "recorded_author_name": "Ben Bo",
            "recorded_author_email": "ben@example.com",
            "authored_at": "2026-01-05T10:01:00Z",
            "committer_email": "ben@example.com",
            "committed_at": "2026-01-05T10:01:00Z",
            "message": "Change (#7)\n\nWhy — body",
            "files": [
                {"path": "a.txt", "additions": 2, "deletions": 1},
                {"path": "b.txt", "additions": 1, "deletions": 0},
            ],
            "additions": 3,
            "deletions": 1,
            "moved_lines": 0,
            "pr_commits": [],
            "patch_id": patch_id(sandbox, second),
            "inverse_patch_id": patch_id(sandbox, second, "-R", "--src-prefix=b/", "--dst-prefix=a/"),
            "changes": [
                [
                    {"path": "a.txt", "old_path": None, "hunks": [2, 1, 2, 2], "moves": []},
                    {"path": "b.txt", "old_path": None, "hunks": [0, 0, 1, 1], "moves": []},
                ]
            ],
        },
    ]


def test_a_binary_file_has_no_lines(sandbox: Sandbox) -> None:
    sha = sandbox.commit("Add", {"logo.png": b"\x89PNG\0\1\2", "a.txt": "1\n"})

    record = records(sandbox.path)[sha]

    assert record["files"] == [
        {"path": "a.txt", "additions": 1, "deletions": 0},
        {"path": "logo.png", "additions": None, "deletions": None},
    ]
    assert (record["additions"], record["deletions"]) == (1, 0)


def test_a_renamed_file_counts_only_what_changed(sandbox: Sandbox) -> None:
    lines = [f"line {number}\n" for number in range(20)]
    sandbox.commit("Add", {"old/a.txt": "".join(lines), "old/b.txt": "b" * 99, "logo.png": b"\0" * 99})
    sandbox.git("mv", "old/a.txt", "new a.txt")
    sandbox.git("mv", "old/b.txt", "b.txt")
    sandbox.git("mv", "logo.png", "icon.png")
    sha = sandbox.commit("Move", {"new a.txt": "".join(lines[:19]) + "other\nmore\n", "z.txt": "1\n"})

    record = records(sandbox.path)[sha]

    assert record["files"] == [
        {"path": "b.txt", "additions": 0, "deletions": 0},
        {"path": "icon.png", "additions": None, "deletions": None},
        {"path": "new a.txt", "additions": 2, "deletions": 1},
        {"path": "z.txt", "additions": 1, "deletions": 0},
    ]
    assert (record["additions"], record["deletions"], record["moved_lines"]) == (3, 1, 20)


def test_odd_paths_survive(sandbox: Sandbox) -> None:
    names = ["tab\there", "new\nline", "1\t2\tc", "naïve ✓", '"quoted"', "\x01start", "a => b"]
    sha = sandbox.commit("Add", dict.fromkeys(names, "1\n"))
    latin = os.fsdecode("caf\xe9".encode("latin-1"))
    other = sandbox.commit("Add more", {latin: "1\n"})

    found = records(sandbox.path)

    assert {file["path"] for file in found[sha]["files"] or []} == set(names)
    assert found[other]["files"] == [{"path": "caf\\xe9", "additions": 1, "deletions": 0}]
    assert orjson.loads(orjson.dumps(found)) == found


def raw_commit(
    message: bytes, author: bytes = b"Ana <ana@example.com> 1767607200 +0000", headers: bytes = b""
) -> bytes:
    committer = b"committer Ana <ana@example.com> 1767607200 +0000\n"
    return b"tree " + EMPTY_TREE.encode() + b"\nauthor " + author + b"\n" + committer + headers + b"\n" + message


@pytest.mark.parametrize(
    ("message", "headers", "text"),
    [
        (b"", b"", ""),
        (b"\n\n", b"", ""),
        (b"one\r\n\r\ntwo\r\n", b"", "one\r\n\r\ntwo\r"),
        (b"bad \xff\xfe bytes", b"", "bad \\xff\\xfe bytes"),
        (b"%B", b"", "%B"),
        (b"caf\xe9", b"encoding ISO-8859-1\n", "café"),
        (b"head\0tail", b"", "head"),
        (b"\x01 start\n1\t2\tnot a file", b"", "\x01 start\n1\t2\tnot a file"),
    ],
)
def test_odd_messages_survive(sandbox: Sandbox, message: bytes, headers: bytes, text: str) -> None:
    sandbox.git("hash-object", "-t", "tree", "-w", "--stdin")
    sha = sandbox.write_commit(raw_commit(message, headers=headers), "odd")
    last = sandbox.commit("Last", {"a.txt": "1\n"})

    found = records(sandbox.path)

    assert found[sha]["message"] == text
    assert found[sha]["files"] == []
    assert found[last]["message"] == "Last"
    orjson.dumps(found)


@pytest.mark.parametrize(
    ("date", "instant"),
    [
        (b"0 +0000", "1970-01-01T00:00:00Z"),
        (b"1767652200 -0800", "2026-01-05T22:30:00Z"),
        (b"4102444800 +0000", "2100-01-01T00:00:00Z"),
        (b"253402300799 +0000", "9999-12-31T23:59:59Z"),
        (b"253402300800 +0000", None),
        (b"18446744073709551616 +0000", None),
        (b"-1 +0000", None),
        (b"yesterday", None),
        (b"", None),
    ],
)
def test_a_date_that_cannot_be_told_is_unknown(sandbox: Sandbox, date: bytes, instant: str | None) -> None:
    sandbox.git("hash-object", "-t", "tree", "-w", "--stdin")
    sha = sandbox.write_commit(raw_commit(b"x", b"Ana <ana@example.com> " + date), "dated")

    record = records(sandbox.path)[sha]

    assert (record["authored_at"], record["committed_at"]) == (instant, "2026-01-05T10:00:00Z")


def test_a_commit_without_a_proper_author_is_read(sandbox: Sandbox) -> None:
    sandbox.git("hash-object", "-t", "tree", "-w", "--stdin")
    sha = sandbox.write_commit(raw_commit(b"x", b"nobody"), "nobody")

    record = records(sandbox.path)[sha]

    assert (record["author_name"], record["author_email"], record["authored_at"]) == ("", "", None)


# Mailmap


@pytest.mark.parametrize("is_bare", [False, True])
def test_mailmap_joins_identities_and_leaves_the_recorded_one(tmp_path: Path, is_bare: bool) -> None:
    origin = initialised(tmp_path / "origin")
    mailmap = "Ana Li <ana@example.com> <ana@old.example.com>\n"
    sha = origin.commit("Add", {".mailmap": mailmap}, author="ana (aider) <ana@old.example.com>")
    repository = cloned(origin, tmp_path / "clone", *(["--bare"] if is_bare else []))

    record = records(repository.path)[sha]

    assert (record["author_name"], record["author_email"]) == ("Ana Li", "ana@example.com")
    assert record["committer_email"] == "ana@example.com"
    assert (record["recorded_author_name"], record["recorded_author_email"]) == (
        "ana (aider)",
        "ana@old.example.com",
    )
    assert facts_of(record).ai_tool == "aider"


# Merges and pull requests


def test_a_merged_pull_request_knows_its_commits_and_its_whole_difference(sandbox: Sandbox) -> None:
    sandbox.commit("Start", {"a.txt": "1\n"})
    sandbox.git("checkout", "--quiet", "-b", "fix")
    one = sandbox.commit("One", {"b.txt": "1\n2\n"})
    sandbox.git("checkout", "--quiet", "main")
    sandbox.commit("Meanwhile", {"c.txt": "1\n"})
    sandbox.git("checkout", "--quiet", "fix")
    sandbox.git("merge", "--quiet", "-m", "Merge branch 'main' into fix", "main")
    update = sandbox.head()
    two = sandbox.commit("Two", {"a.txt": "eins\n"})
    sandbox.git("checkout", "--quiet", "main")
    sandbox.git("merge", "--quiet", "--no-ff", "-m", "Merge pull request #7 from ana/fix\n\nFix", "fix")

    found = records(sandbox.path)
    merge = found[sandbox.head()]

    assert merge["pr_commits"] == [one, update, two]
    assert merge["files"] == [
        {"path": "a.txt", "additions": 1, "deletions": 1},
        {"path": "b.txt", "additions": 2, "deletions": 0},
    ]
    assert (merge["additions"], merge["deletions"]) == (3, 1)
    assert found[update]["pr_commits"] == []


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(0, 99), st.none() | st.integers(0, 99), st.integers(0, 3)),
        min_size=2,
        max_size=14,
    )
)
def test_the_commits_of_pull_requests_are_those_git_finds(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[int, int | None, int]]
) -> None:
    """Any graph, with clocks that go wrong: every commit has a parent, perhaps a second, and a date."""
    sandbox = initialised(tmp_path_factory.mktemp("graph") / "app")
    commands = []
    for number, (first, second, date) in enumerate(history, start=1):
        parents = [f"from :{first % (number - 1) + 1}"] if number > 1 else []
        if number > 1 and second is not None and second % (number - 1) != first % (number - 1):
            parents.append(f"merge :{second % (number - 1) + 1}")
        committer = f"committer Ana <ana@example.com> {MONDAY + date} +0000"
        message = f"data <<END\nMerge pull request #{number} from ana/fix\nEND"
        commands.append("\n".join([f"commit refs/heads/b{number}", f"mark :{number}", committer, message, *parents]))
    sandbox.git("fast-import", "--quiet", given=("\n\n".join(commands) + "\n").encode())

    for record in read_commits(sandbox.path).commits:
        base, *heads = record["parents"] or [""]
        truth = sandbox.git("rev-list", *heads, f"^{base}").split() if heads else []
        assert sorted(record["pr_commits"]) == sorted(truth)


# Tips


def test_commits_of_branches_remotes_tags_and_a_detached_head_are_read(tmp_path: Path) -> None:
    origin = initialised(tmp_path / "origin")
    main = origin.commit("Main")
    origin.git("checkout", "--quiet", "-b", "feature/x")
    feature = origin.commit("Feature")
    clone = cloned(origin, tmp_path / "clone", "--branch", "main")
    clone.git("checkout", "--quiet", "--detach")
    tagged = clone.commit("Tagged")
    clone.git("tag", "-a", "-m", "version", "v1")
    clone.git("tag", "-a", "-m", "nested", "v1-signed", "v1")
    clone.git("tag", "tree", "HEAD^{tree}")
    clone.git("tag", "-a", "-m", "a tree", "annotated-tree", "HEAD^{tree}")
    detached = clone.commit("Detached")

    reading = read_commits(clone.path)

    assert reading.tips == {
        "HEAD": detached,
        "refs/heads/main": main,
        "refs/remotes/origin/main": main,
        "refs/remotes/origin/feature/x": feature,
        "refs/tags/v1": tagged,
        "refs/tags/v1-signed": tagged,
    }
    assert reading.branches == ("main", "origin/feature/x", "origin/main")
    assert {record["sha"] for record in reading.commits} == {main, feature, tagged, detached}
    assert (reading.is_shallow, reading.lost_tips) == (False, ())


def test_stashes_and_notes_are_no_history(sandbox: Sandbox) -> None:
    sha = sandbox.commit("Start", {"a.txt": "1\n"})
    (sandbox.path / "a.txt").write_text("2\n")
    sandbox.git("stash", "--quiet")
    sandbox.git("notes", "add", "-m", "seen")

    assert list(records(sandbox.path)) == [sha]


def test_only_what_is_new_since_the_known_tips_is_read(sandbox: Sandbox) -> None:
    sandbox.commit("Start")
    sandbox.git("checkout", "--quiet", "-b", "fix")
    early = sandbox.commit("Early")
    sandbox.git("checkout", "--quiet", "main")
    known_tips = list(read_commits(sandbox.path).tips.values())
    sandbox.git("checkout", "--quiet", "fix")
    late = sandbox.commit("Late")
    sandbox.git("checkout", "--quiet", "main")
    sandbox.git("merge", "--quiet", "--no-ff", "-m", "Merge pull request #7 from ana/fix", "fix")
    merge = sandbox.head()

    reading = read_commits(sandbox.path, known_tips=known_tips)
    new = list(reading.commits)

    assert [record["sha"] for record in new] == [late, merge]
    assert new[1]["pr_commits"] == [early, late]
    assert reading.lost_tips == ()
    assert list(read_commits(sandbox.path, known_tips=list(reading.tips.values())).commits) == []


def test_rewritten_history_is_told_and_only_the_new_commits_are_read(sandbox: Sandbox) -> None:
    sandbox.commit("Start")
    old = sandbox.commit("Old")
    sandbox.git("reset", "--quiet", "--hard", "HEAD~1")
    new = sandbox.commit("New")

    reading = read_commits(sandbox.path, known_tips=[old])

    assert reading.lost_tips == (old,)
    assert [record["sha"] for record in reading.commits] == [new]


@pytest.mark.parametrize("tip", ["1" * 40, "", "--all", "main", "HEAD\n--all", EMPTY_TREE])
def test_a_known_tip_that_is_no_commit_is_lost_and_changes_nothing(sandbox: Sandbox, tip: str) -> None:
    sha = sandbox.commit("Start")

    reading = read_commits(sandbox.path, known_tips=[tip])

    assert reading.lost_tips == (tip,)
    assert [record["sha"] for record in reading.commits] == [sha]


@pytest.mark.parametrize("is_bare", [False, True])
def test_an_empty_repository_is_read_as_empty(tmp_path: Path, is_bare: bool) -> None:
    empty = initialised(tmp_path / "empty", *(["--bare"] if is_bare else []))

    reading = read_commits(empty.path)

    assert (dict(reading.tips), reading.branches, list(reading.commits)) == ({}, (), [])


def test_where_a_shallow_clone_is_cut_off_the_difference_is_unknown(tmp_path: Path) -> None:
    origin = initialised(tmp_path / "origin")
    origin.commit("Start", {"a.txt": "1\n" * 50})
    cut = origin.commit("Cut", {"b.txt": "1\n"})
    last = origin.commit("Last", {"c.txt": "1\n"})
    clone = cloned(origin, tmp_path / "clone", "--depth", "2")

    reading = read_commits(clone.path)
    found = {record["sha"]: record for record in reading.commits}

    assert reading.is_shallow
    assert found.keys() == {cut, last}
    assert [found[cut][key] for key in ("files", "additions", "deletions", "moved_lines")] == [None] * 4
    assert found[last]["additions"] == 1


def test_a_worktree_is_read_like_its_repository(sandbox: Sandbox, tmp_path: Path) -> None:
    sha = sandbox.commit("Start")
    sandbox.git("worktree", "add", "--quiet", str(tmp_path / "side"), "-b", "side")

    assert list(records(tmp_path / "side")) == [sha]


def test_settings_and_environment_of_the_user_change_nothing(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submodule = f"160000,{'1' * 40},module"
    # From the first version of b.txt to the second, other algorithms count other lines.
    sandbox.commit("Démarrage", {"a ✓.txt": "1\n" * 9, "b.txt": "c\na\nc\nb\nd\nc\n"})
    sandbox.git("mv", "a ✓.txt", "c.txt")
    sandbox.git("update-index", "--add", "--cacheinfo", submodule)
    sandbox.commit("Move", {"z.log": "1\n", "b.txt": "c\nd\nc\nd\nc\nd\nd\na\n"})
    sandbox.git("checkout", "--quiet", "-b", "fix", "HEAD~1")
    sandbox.commit("Fix", {"d.txt": "1\n"})
    sandbox.git("checkout", "--quiet", "main")
    sandbox.git("merge", "--quiet", "--no-ff", "-m", "Merge pull request #7 from ana/fix", "fix")
    sandbox.git("hash-object", "-t", "tree", "-w", "--stdin")
    sandbox.write_commit(raw_commit(b"Signed", headers=b"gpgsig -----BEGIN PGP SIGNATURE-----\n x\n"), "signed")
    before = list(read_commits(sandbox.path).commits)
    assert sum(file["path"] == "module" for record in before for file in record["files"] or []) == 1

    other = initialised(tmp_path / "other")
    home = tmp_path / "home"
    home.mkdir()
    (home / "attributes").write_text("*.log -diff\n")
    (home / "order").write_text("z.log\nd.txt\n")
    (home / "gpg").write_text(f"#!/bin/sh\ntouch {home}/gpg-was-run\n")
    (home / "gpg").chmod(0o755)
    (home / ".gitconfig").write_text(
        f"""
        [core] attributesFile = {home}/attributes
               quotePath = true
        [color] ui = always
        [log] showSignature = true
              showRoot = false
              diffMerges = off
        [diff] renames = false
               algorithm = patience
               ignoreSubmodules = all
               orderFile = {home}/order
        [format] pretty = oneline
        [gpg] program = {home}/gpg
        [i18n] logOutputEncoding = ISO-8859-1
        """
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.path))

    assert list(read_commits(sandbox.path).commits) == before
    assert not (home / "gpg-was-run").exists()


def test_a_bare_repository_is_read_where_the_user_distrusts_those_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = initialised(tmp_path / "origin")
    sha = origin.commit("Start")
    bare = cloned(origin, tmp_path / "bare", "--bare")
    (tmp_path / ".gitconfig").write_text("[safe] bareRepository = explicit\n")
    monkeypatch.setenv("HOME", str(tmp_path))

    assert list(records(bare.path)) == [sha]


def test_a_replaced_commit_is_read_as_it_was(sandbox: Sandbox) -> None:
    sha = sandbox.commit("Real")
    sandbox.git("checkout", "--quiet", "--orphan", "other")
    other = sandbox.commit("Replacement")
    sandbox.git("replace", sha, other)

    assert records(sandbox.path)[sha]["message"] == "Real"


def test_an_unfinished_reading_leaves_no_process_behind(sandbox: Sandbox) -> None:
    sandbox.commit("Start")
    sandbox.commit("Next")
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    before = children.read_text() if children.exists() else None
    commits = read_commits(sandbox.path).commits

    next(commits)
    del commits

    assert before is None or children.read_text() == before


# What can go wrong


def no_such_folder(sandbox: Sandbox) -> Path:
    return sandbox.path / "missing"


def a_plain_folder(sandbox: Sandbox) -> Path:
    folder = sandbox.path.parent / "plain"
    folder.mkdir()
    return folder


def a_folder_inside_a_repository(sandbox: Sandbox) -> Path:
    sandbox.commit("Start", {"inner/a.txt": "1\n"})
    return sandbox.path / "inner"


def a_repository_without_head(sandbox: Sandbox) -> Path:
    (sandbox.path / ".git" / "HEAD").unlink()
    return sandbox.path


@pytest.mark.parametrize(
    ("make", "what_to_do"),
    [
        (no_such_folder, "correct the path"),
        (a_plain_folder, "name the top folder"),
        (a_folder_inside_a_repository, "name the top folder"),
        (a_repository_without_head, "name the top folder"),
    ],
)
def test_what_is_no_repository_is_refused(sandbox: Sandbox, make: Callable[[Sandbox], Path], what_to_do: str) -> None:
    path = make(sandbox)

    for read in (read_commits, remote_name):
        with pytest.raises(GitError, match=what_to_do) as error:
            read(path)
        assert str(path) in str(error.value)


def object_file(sandbox: Sandbox, sha: str) -> Path:
    return sandbox.path / ".git" / "objects" / sha[:2] / sha[2:]


def overwrite(file: Path, content: bytes) -> None:
    file.chmod(0o600)
    file.write_bytes(content)


@pytest.mark.parametrize("content", [b"", b"garbage", None])
@pytest.mark.parametrize(
    "revision", ["HEAD", "HEAD~1", "HEAD^{tree}", "HEAD:a.txt", "v1", "v1^{commit}", "v2", "v2^{commit}"]
)
def test_a_damaged_object_is_an_error_and_never_a_shorter_history(
    sandbox: Sandbox, revision: str, content: bytes | None
) -> None:
    sandbox.commit("Start", {"a.txt": "1\n"})
    sandbox.commit("Next", {"a.txt": "2\n"})
    sandbox.git("checkout", "--quiet", "--detach")
    sandbox.commit("Version", {"a.txt": "3\n"})
    sandbox.git("tag", "-a", "-m", "version", "v1")
    sandbox.git("tag", "-a", "-m", "signed", "v2", "v1")
    sandbox.git("checkout", "--quiet", "main")
    damaged = object_file(sandbox, sandbox.git("rev-parse", revision))
    if content is None:
        damaged.unlink()
    else:
        overwrite(damaged, content)

    with pytest.raises(GitError, match=r"cannot read .*app \(git .*fsck"):
        list(read_commits(sandbox.path).commits)


def test_a_damaged_branch_is_an_error_and_not_skipped(sandbox: Sandbox) -> None:
    sandbox.commit("Start")
    (sandbox.path / ".git" / "refs" / "heads" / "other").write_text("garbage\n")

    with pytest.raises(GitError, match="broken ref refs/heads/other"):
        read_commits(sandbox.path)


def test_a_partial_clone_is_told_apart_and_nothing_is_downloaded(tmp_path: Path) -> None:
    origin = initialised(tmp_path / "origin")
    origin.git("config", "uploadpack.allowFilter", "true")
    origin.commit("Start", {"a.txt": "1\n"})
    origin.commit("Next", {"a.txt": "2\n"})
    clone = cloned(origin, tmp_path / "clone", "--filter=blob:none", "--no-checkout")
    objects = sorted(path for path in (clone.path / ".git" / "objects").rglob("*") if path.is_file())

    with pytest.raises(GitError, match="partial clone"):
        list(read_commits(clone.path).commits)

    assert sorted(path for path in (clone.path / ".git" / "objects").rglob("*") if path.is_file()) == objects


def test_a_missing_git_is_told(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(sandbox.path))

    with pytest.raises(GitError, match=r"git is not on the PATH; install git 2\.31"):
        read_commits(sandbox.path)


@pytest.mark.parametrize(
    ("complaint", "what_to_do"),
    [
        ("fatal: detected dubious ownership in repository at 'x'", r"--add safe\.directory .*app$"),
        ("fatal: Unable to read current working directory: Permission denied", "let the user who runs this"),
        ("fatal: unrecognized argument: --diff-merges=first-parent", r"update git to 2\.31"),
        ("", r"no reason given; check it with: git -C .*app fsck"),
    ],
)
def test_what_git_complains_about_comes_with_what_to_do(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: str, what_to_do: str
) -> None:
    stand_in = tmp_path / "bin" / "git"
    stand_in.parent.mkdir()
    stand_in.write_text(f'#!/bin/sh\necho "{complaint}" >&2\nexit 128\n')
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(stand_in.parent))

    with pytest.raises(GitError, match=what_to_do):
        read_commits(sandbox.path)


# The name of the repository


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://github.com/org/app.git", "org/app"),
        ("https://github.com/org/app", "org/app"),
        ("https://github.com/org/app/", "org/app"),
        ("http://ana:s3cret@git.example.com:8080/org/app.git", "org/app"),
        ("https://s3cret@github.com/org/app.git?token=s3cret", "org/app"),
        ("git@github.com:org/app.git", "org/app"),
        ("git.example.com:org/app", "org/app"),
        ("ssh://git@git.example.com:2222/org/app.git", "org/app"),
        ("git://git.example.com/org/app.git", "org/app"),
        ("https://gitlab.com/group/sub/app.git", "group/sub/app"),
        ("https://ana:s3/cret@git.example.com/org/app.git", None),
        ("ana:s3cret@git.example.com:org/app.git", None),
        ("https://[::1/org/app", None),
        ("https://github.com/app", None),
        ("/srv/git/app.git", None),
        ("../org/app", None),
        ("file:///srv/git/org/app.git", None),
        ("C:/git/org/app", None),
    ],
)
def test_a_repository_is_named_by_its_origin(sandbox: Sandbox, url: str, name: str | None) -> None:
    sandbox.git("remote", "add", "origin", url)

    assert remote_name(sandbox.path) == name


def test_a_repository_without_origin_has_no_name(sandbox: Sandbox) -> None:
    sandbox.git("remote", "add", "upstream", "https://github.com/org/app.git")

    assert remote_name(sandbox.path) is None


# The default branch


def tips_and_default(repository: Path) -> tuple[str | None, str | None]:
    reading = read_commits(repository)
    return reading.default_branch, reading.tips.get(reading.default_branch or "")


def test_the_default_branch_of_a_clone_is_that_of_its_origin(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.commit("Start")
    sandbox.git("branch", "-m", "main", "trunk")
    clone = cloned(sandbox, tmp_path / "clone")
    clone.git("checkout", "-q", "-b", "main")
    clone.commit("Mine, not yet pushed")

    assert tips_and_default(clone.path) == ("refs/remotes/origin/trunk", sandbox.head())


def test_a_checked_out_topic_is_not_the_default_branch(sandbox: Sandbox) -> None:
    start = sandbox.commit("Start")
    sandbox.git("checkout", "-q", "-b", "topic")
    sandbox.commit("Step")

    assert tips_and_default(sandbox.path) == ("refs/heads/main", start)


def test_a_bare_repository_names_its_default_branch_itself(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.commit("Start")
    sandbox.git("checkout", "-q", "-b", "develop")
    develop = sandbox.commit("Step")
    bare = cloned(sandbox, tmp_path / "bare", "--bare")

    assert tips_and_default(bare.path) == ("refs/heads/develop", develop)
    assert read_commits(bare.path).is_bare


def test_without_a_usual_branch_what_is_checked_out_is_the_default(sandbox: Sandbox) -> None:
    sandbox.git("checkout", "-q", "-b", "trunk")
    sha = sandbox.commit("Start")
    assert tips_and_default(sandbox.path) == ("refs/heads/trunk", sha)

    sandbox.git("checkout", "-q", "--detach")
    sandbox.git("branch", "-D", "trunk")
    assert tips_and_default(sandbox.path) == ("HEAD", sha)


# Mailmap of identities


def test_identities_are_mapped_in_their_order_however_odd(sandbox: Sandbox) -> None:
    sandbox.commit("Start", {".mailmap": "Ana Li <ana@example.com> <ana@old.example.com>\n"})
    recorded = [
        Identity("x", "ana@old.example.com"),
        Identity("Ben", "ben@example.com"),
        Identity("", ""),
        Identity("", "no-name@example.com"),
        Identity("line\nfeed", "a@example.com"),
        Identity("<odd>", "b@example.com"),
        Identity("É ✓", ""),
    ]

    assert mapped_identities(sandbox.path, recorded) == [Identity("Ana Li", "ana@example.com"), *recorded[1:]]
    assert mapped_identities(sandbox.path, []) == []
