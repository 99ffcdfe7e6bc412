"""What became of commits and pull requests: the tables that only a whole history makes."""

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from prodlens_pipeline.delivery.assets import collect_repositories
from prodlens_pipeline.delivery.commits import RAW, commit_rows
from prodlens_pipeline.delivery.git_records import SOURCE, GitCommit
from prodlens_pipeline.delivery.git_tables import GIT_TABLES
from prodlens_pipeline.landing.chunks import store_chunk
from prodlens_pipeline.landing.intake import stamp
from prodlens_pipeline.landing.manifest import Extent, record_landing
from prodlens_pipeline.warehouse.lake import Lake, Stamp
from prodlens_pipeline_tests.pipeline import Clone, lake_in_memory, landed_window, moment, settings_for

STAMP = Stamp("test", "test", "test")
NAME = "org/app"
CODE = [f"def step_{number}(value): return value + {number}" for number in range(8)]


class Team:
    """A clone, and the warehouse that it is read into."""

    def __init__(self, lake: Lake, root: Path) -> None:
        self.lake = lake
        self.clone = Clone(root / "app")
        self.settings = settings_for(root, repositories=[{"type": "git", "name": NAME, "path": "app"}])

    def commit(self, message: str, at: str, /, author: str = "Ana <ana@example.com>", **files: list[str] | None) -> str:
        """Write or remove files (`a` is a.py) and commit."""
        for name, lines in files.items():
            path = self.clone.path / f"{name}.py"
            path.unlink() if lines is None else path.write_text("".join(line + "\n" for line in lines))
        self.clone.git("add", "-A")
        self.clone.git("commit", "-q", "--allow-empty", "-m", message, at=at, author=author)
        return self.clone.git("rev-parse", "HEAD")

    def read(self) -> None:
        """Collect, and make the tables."""
        assert collect_repositories(self.lake, self.settings).problems == []
        self.make()

    def make(self) -> None:
        """Make the tables of what is landed."""
        landing = self.settings.landing
        window = landed_window(self.lake)
        assert self.lake.overwrite(RAW, window, commit_rows(self.lake, landing, window), STAMP).committed
        for contract, rows, _ in GIT_TABLES:
            result = self.lake.overwrite(contract, None, rows(self.lake, landing), STAMP)
            assert result.committed, [each.check.name for each in result.outcomes if not each.passed]

    def rework(self, number: int, *columns: str) -> tuple[Any, ...]:
        """Columns of a pull request's row."""
        sql = f"select {', '.join(columns)} from raw.git_rework where pr_number = $number"
        (row,) = self.lake.rows(sql, {"number": number})
        return row

    def place(self, sha: str, *columns: str) -> tuple[Any, ...]:
        """Columns of a commit's row in the graph."""
        (row,) = self.lake.rows(f"select {', '.join(columns)} from raw.git_graph where sha = $sha", {"sha": sha})
        return row


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    with lake_in_memory() as lake:
        yield Team(lake, tmp_path)


# Fix-ups

FIXED = [*CODE[:2], "def step_2(value): return value - 2", *CODE[3:]]

# What happens to the eight lines of a pull request that adds a file, and how many of them it changes again. Each case
# has a file and a pull request of its own; {own} is that one's number, {other} another one's.
FIX_UPS: dict[str, tuple[str, str, Callable[[list[str]], dict[str, list[str] | None]], int]] = {
    "by another": ("Fix (#{other})", "2026-03-09 10:00", lambda code: {"": [*code[:2], "new = 1", *code[3:]]}, 1),
    "directly": ("Straight to main", "2026-03-09 10:00", lambda code: {"": [*code[:2], "new = 1", *code[3:]]}, 1),
    "removed": ("Remove (#{other})", "2026-03-09 10:00", lambda code: {"": code[:6]}, 2),
    "file removed": ("Remove (#{other})", "2026-03-09 10:00", lambda _: {"": None, "_more": ["x = 1"]}, 8),
    "at the last moment": ("Fix (#{other})", "2026-03-23 10:00", lambda code: {"": code[1:]}, 1),
    "too late": ("Fix (#{other})", "2026-03-23 10:01", lambda code: {"": code[1:]}, 0),
    "by itself": ("Its second part (#{own})", "2026-03-09 10:00", lambda code: {"": code[1:]}, 0),
    "beside it": ("Add (#{other})", "2026-03-09 10:00", lambda code: {"": [*code, "x = 1"], "_more": ["x = 1"]}, 0),
    "indented": ("Indent (#{other})", "2026-03-09 10:00", lambda code: {"": ["    " + line for line in code]}, 0),
    "reordered": ("Sort (#{other})", "2026-03-09 10:00", lambda code: {"": code[4:] + code[:4]}, 0),
    "moved away": ("Move (#{other})", "2026-03-09 10:00", lambda code: {"": code[:4], "_more": code[4:]}, 0),
    "renamed": ("Rename (#{other})", "2026-03-09 10:00", lambda code: {"": None, "_renamed": code}, 0),
}


@pytest.fixture(scope="module")
def fixed_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Team, dict[str, str]]]:
    """The history of all `FIX_UPS`, and the commit that changed each case's lines."""
    with lake_in_memory() as lake:
        team = Team(lake, tmp_path_factory.mktemp("fix-ups"))
        numbered = list(enumerate(FIX_UPS.items(), start=1))
        code = {case: [f"{line} + {number}" for line in CODE] for number, (case, _) in numbered}
        for number, (case, _) in numbered:
            team.commit(f"Add (#{number})", "2026-03-02 10:00", **{f"case_{number}": code[case]})
        made = {}
        for number, (case, (message, at, change, _)) in sorted(numbered, key=lambda each: each[1][1][1]):
            files = {f"case_{number}{name}": lines for name, lines in change(code[case]).items()}
            made[case] = team.commit(message.format(own=number, other=100 + number), at, **files)
        team.commit("Later", "2026-04-20 10:00")
        team.read()
        yield team, made


@pytest.mark.parametrize("case", FIX_UPS)
def test_a_fix_up_changes_the_same_lines_again(fixed_up: tuple[Team, dict[str, str]], case: str) -> None:
    team, made = fixed_up
    number = [*FIX_UPS].index(case) + 1
    message, at, _, changed = FIX_UPS[case]

    columns = (
        "window_elapsed",
        "lines_added",
        "lines_changed_again_21d",
        "fixed_up_at",
        "fixed_up_by",
        "fixed_up_by_pr",
    )
    by = 100 + number if "{other}" in message else None
    fix = (datetime.fromisoformat(at), made[case], by) if changed else (None, None, None)
    assert team.rework(number, *columns) == (True, 8, changed, *fix)


def test_before_21_days_have_passed_nothing_is_known(team: Team) -> None:
    team.commit("Add (#1)", "2026-03-02 10:00", a=CODE)
    fix = team.commit("Fix (#2)", "2026-03-03 10:00", a=FIXED)
    team.commit("Later", "2026-03-23 09:59")
    team.read()

    columns = ("window_elapsed", "lines_added", "lines_changed_again_21d", "fixed_up_by")
    assert team.rework(1, *columns) == (False, 8, None, fix)
    survival = "select known, lines_added, lines_surviving_21d from raw.git_line_survival order by landed_at"
    assert team.lake.rows(survival) == [(False, 8, None), (False, 1, None)]

    team.commit("A minute later", "2026-03-23 10:00")
    team.read()

    assert team.rework(1, *columns) == (True, 8, 1, fix)
    assert team.lake.rows(survival) == [(True, 8, 7), (False, 1, None)]


def test_lines_of_a_merged_branch_are_counted_for_the_pull_request_and_for_each_commit(team: Team) -> None:
    team.commit("Start", "2026-03-01 10:00", z=["start = 1"])
    team.clone.git("checkout", "-q", "-b", "topic")
    one = team.commit("One", "2026-03-02 10:00", a=CODE[:4])
    two = team.commit("Two", "2026-03-02 11:00", a=CODE)
    team.clone.git("checkout", "-q", "main")
    merge = team.clone.merge("topic", "Merge pull request #7 from org/topic", "2026-03-20 10:00")
    team.commit("Fix", "2026-04-05 10:00", a=CODE[2:])  # more than 21 days after both commits, not after the merge
    team.commit("Later", "2026-04-20 10:00")
    team.read()

    columns = ("merge_sha", "merged_at", "lines_added", "lines_changed_again_21d")
    assert team.rework(7, *columns) == (merge, datetime.fromisoformat("2026-03-20 10:00"), 8, 2)
    landed = datetime.fromisoformat("2026-03-20 10:00")
    assert team.lake.rows(
        "select sha, landed_at, lines_added, lines_surviving_21d from raw.git_line_survival "
        "where sha in ($one, $two) order by sha = $two",
        {"one": one, "two": two},
    ) == [(one, landed, 4, 2), (two, landed, 4, 4)]


# Reverts


def test_a_revert_is_known_by_message_or_by_its_patch_and_is_no_fix_up(team: Team) -> None:
    team.commit("Start", "2026-03-01 10:00", z=["start = 1"])
    first = team.commit("Add (#1)", "2026-03-02 10:00", a=CODE)
    team.commit("Add more (#2)", "2026-03-02 11:00", b=CODE[:3])
    by_message = team.commit('Revert "Add (#1)" (#3)', "2026-03-04 10:00", a=["left = 1"])
    by_patch = team.commit("Back to where we were", "2026-03-05 10:00", b=None)
    team.commit("Later", "2026-04-20 10:00")
    team.read()

    columns = ("reverted_at", "reverted_by", "revert_basis", "lines_changed_again_21d", "fixed_up_by")
    assert team.rework(1, *columns) == (datetime.fromisoformat("2026-03-04 10:00"), by_message, ["message"], 0, None)
    assert team.rework(2, *columns) == (datetime.fromisoformat("2026-03-05 10:00"), by_patch, ["patch"], 0, None)
    assert team.place(by_message, "reverts_sha", "reverts_pr") == (first, 1)


def test_a_revert_counts_when_it_reaches_the_default_branch_and_not_before(team: Team) -> None:
    team.commit("Start", "2026-03-01 10:00", z=["start = 1"])
    first = team.commit("Add (#1)", "2026-03-02 10:00", a=CODE)
    team.clone.git("checkout", "-q", "-b", "undo")
    team.clone.git("revert", "--no-edit", first, at="2026-03-03 10:00")
    undo = team.clone.git("rev-parse", "HEAD")
    team.clone.git("checkout", "-q", "main")
    team.commit("Later", "2026-03-10 10:00", z=["start = 2"])
    team.read()

    assert team.place(undo, "reverts_sha", "revert_basis", "on_default_branch") == (first, ["message", "patch"], False)
    assert team.rework(1, "reverted_at", "reverted_by") == (None, None)

    team.clone.merge("undo", "Merge branch 'undo'", "2026-03-12 10:00")
    team.read()

    assert team.rework(1, "reverted_at", "reverted_by") == (datetime.fromisoformat("2026-03-12 10:00"), undo)


def test_taking_a_revert_back_reverts_the_revert(team: Team) -> None:
    team.commit("Start", "2026-03-01 10:00", z=["start = 1"])
    added = [team.commit("Add", "2026-03-02 10:00", a=CODE)]
    for day in (3, 4, 5):
        files: dict[str, list[str] | None] = {"a": CODE if day == 4 else None}
        added.append(team.commit("Change", f"2026-03-0{day} 10:00", **files))
    team.read()

    assert [team.place(sha, "reverts_sha")[0] for sha in added] == [None, *added[:3]]
    # the same patch again, but on top of itself: new work
    assert [team.place(sha, "duplicate_of")[0] for sha in added] == [None] * 4


# Copies


def test_a_commit_that_was_picked_to_another_branch_is_a_copy_of_it(team: Team) -> None:
    team.commit("Start", "2026-03-01 10:00", z=["start = 1"])
    team.clone.git("branch", "release")
    fix = team.commit("Fix (#1)", "2026-03-02 10:00", a=CODE)
    team.clone.git("checkout", "-q", "release")
    team.commit("Prepare", "2026-03-02 11:00", b=["version = 1"])
    team.clone.git("cherry-pick", fix, at="2026-03-03 10:00")
    picked = team.clone.git("rev-parse", "HEAD")
    team.clone.git("checkout", "-q", "main")
    team.read()

    assert team.place(picked, "duplicate_of", "duplicate_basis", "on_default_branch") == (fix, "patch", False)
    assert team.place(fix, "duplicate_of", "on_default_branch") == (None, True)
    ids = dict(team.lake.rows("select sha, patch_id from raw.git_commits"))
    assert ids[fix] == ids[picked] is not None
    assert len(set(ids.values())) == 3


def test_a_rewritten_branch_leaves_copies_that_nothing_reaches(team: Team) -> None:
    team.commit("Start", "2026-03-01 10:00", z=["start = 1"])
    team.clone.git("checkout", "-q", "-b", "topic")
    rebased = team.commit("Step", "2026-03-02 10:00", a=CODE)
    amended = team.commit("Next step", "2026-03-02 11:00", b=CODE)
    team.read()
    assert team.place(amended, "is_reachable", "unreachable_since") == (True, None)

    (team.clone.path / "b.py").write_text("better = 1\n")
    team.clone.git("add", "-A")
    team.clone.git("commit", "-q", "--amend", "-m", "Next, better", "--date", "2026-03-02T11:00:00+00:00")
    team.clone.git("checkout", "-q", "main")
    team.commit("Meanwhile", "2026-03-03 10:00", z=["start = 2"])
    team.clone.git("rebase", "-q", "main", "topic", at="2026-03-04 10:00")
    new_amended, new_rebased = team.clone.git("rev-parse", "topic"), team.clone.git("rev-parse", "topic~1")
    assert collect_repositories(team.lake, team.settings).problems == []
    touched = {str(day) for (day,) in team.lake.rows("select unnest(touched_days) from ops.landing_chunks")}
    assert {"2026-03-02"} <= touched
    team.make()

    reachable = "is_reachable", "unreachable_since is null", "duplicate_of", "duplicate_basis"
    assert team.place(rebased, *reachable) == (False, False, new_rebased, "patch")
    assert team.place(amended, *reachable) == (False, False, new_amended, "rewritten")
    assert team.place(new_amended, *reachable) == (True, True, None, None)
    assert team.lake.value("select unreachable_commits from raw.git_clones") == 2
    since = team.place(amended, "unreachable_since")
    team.commit("On", "2026-03-05 10:00")
    team.read()
    assert team.place(amended, "unreachable_since") == since


# Days that change without a commit of theirs


def stale_days(team: Team, after: Any) -> set[str]:
    rows = team.lake.rows(
        "select unnest(touched_days)::varchar from ops.landing_chunks where collected_at > $after", {"after": after}
    )
    return {day for (day,) in rows}


def last_landing(team: Team) -> Any:
    return team.lake.value("select max(collected_at) from ops.landing_chunks")


def test_what_a_later_commit_says_of_an_earlier_day_makes_that_day_stale(team: Team) -> None:
    team.commit("Start", "2026-03-01 10:00", z=["start = 1"])
    team.clone.git("checkout", "-q", "-b", "topic")
    team.commit("Step", "2026-03-02 10:00", a=CODE)
    team.clone.git("checkout", "-q", "main")
    team.commit("Meanwhile", "2026-03-03 10:00", z=["start = 2"])
    team.read()
    before = last_landing(team)

    team.clone.merge("topic", "Bring it in", "2026-03-10 10:00")
    team.read()

    assert stale_days(team, before) == {"2026-03-02", "2026-03-10"}
    before = last_landing(team)
    team.read()
    assert stale_days(team, before) == set()


def test_a_new_mailmap_takes_effect_on_commits_that_were_read_before(team: Team) -> None:
    team.commit("Start", "2026-03-01 10:00", author="ana <ANA@laptop.example>", z=["start = 1"])
    team.commit("Next", "2026-03-02 10:00", author="Ben <ben@example.com>", z=["start = 2"])
    team.read()
    authors = "select author_name, author_email from raw.git_commits order by authored_at"
    assert team.lake.rows(authors) == [("ana", "ana@laptop.example"), ("Ben", "ben@example.com")]
    before = last_landing(team)

    mailmap = team.clone.path / ".mailmap"
    mailmap.write_text("Ana Li <ana@example.com> <ana@laptop.example>\n")
    assert collect_repositories(team.lake, team.settings).problems == []
    assert stale_days(team, before) == {"2026-03-01"}
    team.make()
    assert team.lake.rows(authors) == [("Ana Li", "ana@example.com"), ("Ben", "ben@example.com")]

    mailmap.unlink()
    team.read()
    assert team.lake.rows(authors) == [("ana", "ana@laptop.example"), ("Ben", "ben@example.com")]


# The code base at the head

CODEBASE = "files, binary_files, lines, bytes, estimated_tokens, file_types, largest_files, largest_file_bytes"


def test_the_files_of_the_head_are_counted(team: Team) -> None:
    team.commit("Start", "2026-03-01 10:00", gone=CODE)
    contents = {
        "A.PY": b"a = 1\n\nb = 2",
        "docs/caf\u00e9 one.md": b"x\r\ny\r\n",
        "empty.md": b"",
        "Makefile": b"all:\n",
        ".gitignore": b"*.pyc\n",
        "logo.png": b"\x89PNG\0\n\n",
    }
    for path, content in contents.items():
        (team.clone.path / path).parent.mkdir(exist_ok=True)
        (team.clone.path / path).write_bytes(content)
    (team.clone.path / "link.md").symlink_to("empty.md")
    team.clone.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    team.clone.git("rm", "-q", "gone.py")
    head = team.commit("Replace all", "2026-03-02 10:00")
    team.read()

    (row,) = team.lake.rows(f"select repo, head_sha, {CODEBASE} from raw.git_codebase")
    assert row[:7] == (NAME, head, 7, 1, 3 + 2 + 1 + 1 + 1, 12 + 6 + 5 + 6 + 7 + 8, 44 // 4)
    assert [tuple(one.values()) for one in row[7]] == [
        ("md", 3, 3, 14),
        ("py", 1, 3, 12),
        ("", 2, 2, 11),
        ("png", 1, None, 7),
    ]
    assert list(zip(row[8], row[9], strict=True)) == [
        ("A.PY", 12),
        ("link.md", 8),
        ("logo.png", 7),
        ("docs/caf\u00e9 one.md", 6),
        (".gitignore", 6),
        ("Makefile", 5),
        ("empty.md", 0),
    ]
    seconds = "select (value->>'index_seconds')::double from ops.checkpoints where name = 'git_codebase:' || $repo"
    assert 0 < team.lake.value(seconds, {"repo": NAME}) < 30


def test_files_are_counted_again_only_when_the_head_moves(team: Team) -> None:
    team.commit("Start", "2026-03-01 10:00", a=CODE)
    team.read()
    first = team.lake.rows("select * from raw.git_codebase")
    team.clone.git("switch", "-q", "-c", "aside")
    team.commit("Aside", "2026-03-02 10:00", b=CODE)
    team.clone.git("switch", "-q", "main")
    team.read()
    assert team.lake.rows("select * from raw.git_codebase") == first

    team.commit("Remove it", "2026-03-03 10:00", a=None)
    (team.clone.path / "logo.png").write_bytes(b"\0")
    head = team.commit("Only a picture", "2026-03-03 11:00")
    team.read()
    assert team.lake.rows("select head_sha, files, lines from raw.git_codebase") == [(head, 1, None)]


# Clones of all kinds


def test_an_absent_clone_takes_nothing_away(team: Team) -> None:
    team.commit("Add (#1)", "2026-03-02 10:00", a=CODE)
    team.commit("Fix (#2)", "2026-03-03 10:00", a=FIXED)
    team.commit("Later", "2026-04-20 10:00")
    team.read()
    tables = [contract.full_name for contract, _, _ in GIT_TABLES]
    before = {table: team.lake.rows(f"select * from {table} order by all") for table in tables}
    assert all(before.values())

    shutil.rmtree(team.clone.path)
    (problem,) = collect_repositories(team.lake, team.settings).problems
    team.make()

    assert NAME in problem
    assert {table: team.lake.rows(f"select * from {table} order by all") for table in tables} == before


def test_a_bare_clone_gives_the_same_and_says_so(team: Team, tmp_path: Path) -> None:
    team.commit("Add (#1)", "2026-03-02 10:00", a=CODE)
    team.commit("Fix (#2)", "2026-03-03 10:00", a=FIXED)
    team.commit("Later", "2026-04-20 10:00")
    team.read()
    histories = ("raw.git_graph", "raw.git_line_history", "raw.git_rework", "raw.git_line_survival")

    with lake_in_memory() as lake:
        bare = Team(lake, tmp_path / "other")
        shutil.rmtree(bare.clone.path)
        team.clone.git("clone", "-q", "--bare", str(team.clone.path), str(bare.clone.path))
        bare.read()

        assert [
            lake.value("select is_bare from raw.git_clones"),
            team.lake.value("select is_bare from raw.git_clones"),
        ] == [
            True,
            False,
        ]
        for table in histories:
            rows = f"select * from {table} order by all"
            assert lake.rows(rows) == team.lake.rows(rows) != [], table


def test_a_shallow_clone_says_so_and_knows_more_when_it_is_deepened(team: Team, tmp_path: Path) -> None:
    team.commit("Start", "2026-03-01 10:00", z=["start = 1"])
    team.commit("Add (#1)", "2026-03-02 10:00", a=CODE)
    team.commit("Fix (#2)", "2026-03-03 10:00", a=FIXED)
    team.commit("Later", "2026-04-20 10:00")
    team.read()

    with lake_in_memory() as lake:
        shallow = Team(lake, tmp_path / "other")
        shutil.rmtree(shallow.clone.path)
        team.clone.git("clone", "-q", "--depth", "3", team.clone.path.as_uri(), str(shallow.clone.path))
        shallow.read()

        assert lake.value("select is_shallow from raw.git_clones")
        columns = ("window_elapsed", "lines_added", "lines_changed_again_21d")
        assert shallow.rework(1, *columns) == (True, None, None)
        chunks = lake.value("select count(*) from ops.landing_chunks")
        shallow.read()
        assert lake.value("select count(*) from ops.landing_chunks") == chunks

        shallow.clone.git("fetch", "-q", "--unshallow")
        shallow.read()

        assert not lake.value("select is_shallow from raw.git_clones")
        assert shallow.rework(1, *columns) == team.rework(1, *columns) == (True, 8, 1)
        for table in ("raw.git_graph", "raw.git_line_history", "raw.git_rework", "raw.git_line_survival"):
            rows = f"select * from {table} order by all"
            assert lake.rows(rows) == team.lake.rows(rows), table


def test_a_commit_that_only_github_has_told_of_is_not_taken_for_a_lost_one(team: Team) -> None:
    tip = team.commit("Add (#1)", "2026-03-02 10:00", a=CODE)
    team.read()
    told = GitCommit(
        sha="1" * 40,
        parents=[tip],
        author_name="Ben",
        author_email="ben@example.com",
        recorded_author_name="Ben",
        recorded_author_email="ben@example.com",
        authored_at=moment("2026-04-20 10:00"),
        committed_at=moment("2026-04-20 10:00"),
        committer_email="ben@example.com",
        message="Not fetched yet",
        pr_commits=[],
    )
    at = moment("2026-04-20 10:00")
    line = stamp(told, source_name=NAME, source_file="api", line=1, at=at)
    day = at.date()
    extent = Extent("api", "", 0, 0, len(line), 0, 1, 1, 1, 0, at, at, (day,), (day,))
    chunk = store_chunk(team.settings.landing, SOURCE, line)
    record_landing(team.lake, source=SOURCE, source_name=NAME, chunk=chunk, extents=[extent], letters=[])
    team.read()

    assert team.place("1" * 40, "is_reachable", "unreachable_since", "on_default_branch") == (None, None, None)
    # and what happened after the clone was last fetched is not known of it
    assert team.rework(1, "window_elapsed") == (False,)


def test_what_a_shallower_clone_no_longer_shows_is_not_lost(team: Team) -> None:
    first = team.commit("Start", "2026-03-01 10:00", z=["start = 1"])
    cut = team.commit("Add (#1)", "2026-03-02 10:00", a=CODE)
    team.commit("Later", "2026-04-20 10:00")
    team.read()
    (team.clone.path / ".git" / "shallow").write_text(cut + "\n")
    team.read()

    assert team.place(first, "is_reachable") == (True,)
    assert team.lake.rows("select is_shallow, unreachable_commits from raw.git_clones") == [(True, 0)]


def test_an_empty_repository_has_no_rows_but_is_known(team: Team) -> None:
    assert collect_repositories(team.lake, team.settings).problems == []
    for contract, rows, _ in GIT_TABLES:
        assert team.lake.overwrite(contract, None, rows(team.lake, team.settings.landing), STAMP).committed

    assert team.lake.rows("select repo, default_branch, default_tip from raw.git_clones") == [(NAME, "unknown", None)]
    assert team.lake.value("select count(*) from raw.git_graph") == 0
    assert team.lake.value("select count(*) from raw.git_codebase") == 0
