"""What was refused is listed, and read again when the contract changed: nothing is lost, doubled or miscounted."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prodlens_pipeline.landing.collector import land_records
from prodlens_pipeline.landing.dead_letters import Replayed, letters_query, replay
from prodlens_pipeline.landing.manifest import DeadLetter
from prodlens_pipeline.landing.records import Format
from prodlens_pipeline.landing.redaction import Privacy
from prodlens_pipeline.landing.texts import read_texts
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.opening import open_lake
from prodlens_pipeline_tests.landing.notes import (
    LISTS,
    NOTES,
    SOURCE,
    Note,
    _members,
    land,
    landed,
    letters,
    names,
    note,
    sums,
    text_of,
)
from prodlens_pipeline_tests.landing.test_texts import Chat
from prodlens_pipeline_tests.places import location_of


class Tolerant(Note):
    """The contract of a later version: a negative number is no longer an error."""

    tokens: int | None = None  # type: ignore[assignment]


LATER = Format("notes", Tolerant)


def _any_members(line: bytes) -> Iterator[Any]:
    yield from _members(line) if line.startswith(b'{"notes"') else [{"name": line.decode()}]


def again(lake: Lake, folder: Path, form: Format = LATER, letter_id: str | None = None, **privacies: Any) -> Replayed:
    return replay(lake, folder / "landing", {"notes": form}, {SOURCE: Privacy(**privacies)}, letter_id)


def statuses(lake: Lake) -> list[str]:
    return [status for (status,) in lake.rows("select status from ops.dead_letters order by line, item")]


def accounted(lake: Lake) -> bool:
    """The promise that the landing asset checks."""
    read, accepted, rejected = sums(lake)
    return read == accepted + rejected and rejected == statuses(lake).count("rejected")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_bytes(text_of([note("a"), note("b", tokens=-1, at="2026-04-01T00:00:00Z"), b"broken", note("c")]))
    return path


class TestReplay:
    def test_what_passes_is_landed_at_its_own_day_and_the_rest_stays(
        self, lake: Lake, tmp_path: Path, log: Path
    ) -> None:
        land(lake, tmp_path, log)
        assert again(lake, tmp_path, NOTES) == Replayed(landed=0, refused=2)
        assert again(lake, tmp_path) == Replayed(landed=1, refused=1)
        assert sums(lake) == (4, 3, 1) and accounted(lake)
        assert statuses(lake) == ["replayed", "rejected"]
        assert landed(lake, tmp_path, "_line, name, _at::date::varchar") == [
            (1, "a", "2026-03-02"),
            (2, "b", "2026-04-01"),
            (4, "c", "2026-03-02"),
        ]
        days = "select distinct unnest(days)::varchar from ops.landing_chunks order by 1"
        assert [day for (day,) in lake.rows(days)] == ["2026-03-02", "2026-04-01"]

    def test_replaying_twice_is_replaying_once_and_reading_goes_on_where_it_did(
        self, lake: Lake, tmp_path: Path, log: Path
    ) -> None:
        land(lake, tmp_path, log)
        again(lake, tmp_path)
        before = lake.rows("from ops.landing_chunks")
        assert again(lake, tmp_path) == Replayed(refused=1)
        assert lake.rows("from ops.landing_chunks") == before
        assert land(lake, tmp_path, log).lines == 0
        with log.open("ab") as file:
            file.write(text_of([note("d")]))
        assert land(lake, tmp_path, log).accepted == 1
        assert [line for line, _, _ in landed(lake, tmp_path)] == [1, 2, 4, 5]

    def test_one_letter_only(self, lake: Lake, tmp_path: Path) -> None:
        log = tmp_path / "a.jsonl"
        log.write_bytes(text_of([note("a", tokens=-1), note("b", tokens=-2)]))
        land(lake, tmp_path, log)
        query = letters_query()
        second = lake.frame(query.sql, query.parameters).filter(line=2)["letter_id"].item()
        assert again(lake, tmp_path, letter_id=second) == Replayed(landed=1)
        assert statuses(lake) == ["rejected", "replayed"] and names(lake, tmp_path) == ["b"]
        assert again(lake, tmp_path, letter_id="nowhere") == Replayed()

    def test_a_source_that_is_gone_or_holds_another_line_keeps_its_letters(
        self, lake: Lake, tmp_path: Path, log: Path
    ) -> None:
        land(lake, tmp_path, log)
        log.write_bytes(text_of([note("x"), note("y", tokens=-7), b"other"]))
        done = again(lake, tmp_path)
        assert (done.landed, done.refused, list(done.gone)) == (0, 0, [str(log)])
        log.unlink()
        assert "No such file" in again(lake, tmp_path).gone[str(log)]
        assert statuses(lake) == ["rejected", "rejected"] and accounted(lake)

    def test_a_line_that_came_twice_is_landed_once(self, lake: Lake, tmp_path: Path) -> None:
        log = tmp_path / "a.jsonl"
        for name in ("a", "b"):
            log.write_bytes(text_of([note(name), note("bad", tokens=-1)]))
            land(lake, tmp_path, log)
        log.write_bytes(text_of([note("a"), note("bad", tokens=-1)]))
        assert statuses(lake) == ["rejected", "rejected"]
        assert again(lake, tmp_path).landed == 1
        assert names(lake, tmp_path).count("bad") == 1
        assert statuses(lake) == ["replayed", "replayed"] and accounted(lake)

    def test_a_compressed_file(self, lake: Lake, tmp_path: Path, log: Path) -> None:
        archive = tmp_path / "a.jsonl.gz"
        archive.write_bytes(gzip.compress(log.read_bytes())[:-4])
        land(lake, tmp_path, archive)
        assert again(lake, tmp_path).landed == 1
        assert land(lake, tmp_path, archive).lines == 0
        assert statuses(lake).count("pending") == 1, "a replay does not settle what waits for the rest of the file"
        assert accounted(lake)

    def test_one_of_several_records_of_a_line(self, lake: Lake, tmp_path: Path) -> None:
        log = tmp_path / "a.jsonl"
        log.write_bytes(text_of([{"notes": [note("a"), note("b", tokens=-1), note("c"), {"name": 7}]}]))
        land(lake, tmp_path, log, form=LISTS)
        assert again(lake, tmp_path, Format("notes", Tolerant, split=_members)) == Replayed(landed=1, refused=1)
        assert landed(lake, tmp_path) == [(1, 0, "a"), (1, 1, "b"), (1, 2, "c")]
        assert statuses(lake) == ["replayed", "rejected"] and accounted(lake)

    def test_a_line_that_is_split_by_now(self, lake: Lake, tmp_path: Path) -> None:
        log = tmp_path / "a.jsonl"
        log.write_bytes(text_of([{"notes": [note("a")]}, b"alone"]))
        land(lake, tmp_path, log, form=LISTS)
        assert sums(lake) == (2, 1, 1)
        form = Format("notes", Note, split=lambda line: [*_any_members(line), {"name": 7}])
        assert again(lake, tmp_path, form) == Replayed(landed=1, refused=1)
        assert sums(lake) == (3, 2, 1) and accounted(lake)
        assert names(lake, tmp_path) == ["a", "alone"]

    def test_the_texts_of_what_passes_are_kept_as_far_as_the_source_allows(self, lake: Lake, tmp_path: Path) -> None:
        class TolerantChat(Chat):
            tokens: int | None = None  # type: ignore[assignment]

        log = tmp_path / "a.jsonl"
        log.write_bytes(text_of([note("a", tokens=-1, code="x", prompt="y")]))
        land(lake, tmp_path, log, form=Format("notes", Chat))
        again(lake, tmp_path, Format("notes", TolerantChat), capture="edits")
        relation = read_texts(lake, tmp_path / "landing", None)
        assert lake.rows(f"select kind from {relation}") == [("edit",)]

    def test_what_an_api_answered_must_be_pulled_again(self, lake: Lake, tmp_path: Path) -> None:
        url = "https://traces.example.com/notes"
        land_records(lake, tmp_path / "landing", NOTES, SOURCE, url, [note("a", tokens=-1)])
        assert list(again(lake, tmp_path).gone) == [url]
        assert list(replay(lake, tmp_path / "landing", {}, {}).gone) == [url]


class TestListing:
    @pytest.mark.parametrize(
        ("chosen", "lines"),
        [
            ({}, {2, 3}),
            ({"source": "notes"}, {2, 3}),
            ({"source": SOURCE}, {2, 3}),
            ({"source": "litellm"}, set()),
            ({"reason": "TOKENS"}, {2}),
            ({"reason": "tokens", "source": "litellm"}, set()),
        ],
    )
    def test_by_source_and_reason(
        self, lake: Lake, tmp_path: Path, log: Path, chosen: dict[str, str], lines: set[int]
    ) -> None:
        land(lake, tmp_path, log)
        query = letters_query(**chosen)
        found = lake.frame(query.sql, query.parameters)
        assert set(found["line"]) == lines

    def test_a_letter_keeps_its_name(self, lake: Lake, tmp_path: Path, log: Path) -> None:
        land(lake, tmp_path, log)
        ids = lake.rows("select letter_id from ops.dead_letters order by line")
        assert len(set(ids)) == len(letters(lake)) == 2
        lake.execute("delete from ops.dead_letters")
        lake.execute("delete from ops.landing_chunks")
        land(lake, tmp_path, log)
        assert lake.rows("select letter_id from ops.dead_letters order by line") == ids


def test_letters_of_before_their_names_get_one(tmp_path: Path) -> None:
    with open_lake(location_of(tmp_path)) as lake:
        migrate(lake, 1)
        lake.execute(
            "insert into ops.dead_letters by name select 'notes' as source, $name as source_name, '/a.jsonl' as "
            "source_file, 7 as line, 'why' as reason, '' as raw_text, 'rejected' as status, now() as collected_at",
            {"name": SOURCE},
        )
        migrate(lake)
        named = lake.value("select letter_id from ops.dead_letters")
        assert named == DeadLetter("/a.jsonl", 7, "why", "").letter_id
        migrate(lake, 1)
        assert lake.value("select count(*) from ops.dead_letters") == 1
