"""Whatever a source holds: collecting ends, each record is accepted or refused, and the good are landed."""

import gzip
import json
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from prodlens_pipeline.landing.intake import stamp
from prodlens_pipeline.landing.readers import MAX_LINE_BYTES
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline_tests.landing.notes import (
    LISTS,
    NOTES,
    Note,
    land,
    landed,
    letters,
    names,
    note,
    sums,
    text_of,
    zstd,
)
from prodlens_pipeline_tests.pipeline import lake_in_memory

GOOD = [note("a"), note("b")]


def source(folder: Path, content: bytes, name: str = "a.jsonl") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def deep(levels: int, kind: str = "[]") -> bytes:
    """A value nested `levels` deep, beside the fields of a note."""
    opening, closing = ("[", "]") if kind == "[]" else ('{"a":', "}")
    return b'{"name": "deep", "x": ' + (opening * levels + "1" + closing * levels).encode() + b"}"


class TestOddLines:
    @pytest.mark.parametrize(
        "line",
        [
            pytest.param(json.dumps(note("x")).encode()[:-9], id="truncated"),
            pytest.param(json.dumps(note("x")).encode()[:20] + json.dumps(note("y")).encode(), id="interleaved"),
            pytest.param(json.dumps(note("x")).encode() * 2, id="two on a line"),
            pytest.param(b'{"name": "x\xff\xfe"}', id="invalid UTF-8"),
            pytest.param(b'{"name": "\xed\xa0\x80"}', id="half a surrogate pair in UTF-8"),
            pytest.param(b'{"name": "\\ud800"}', id="half a surrogate pair"),
            pytest.param('{"name": "x"}'.encode("utf-16"), id="UTF-16"),
            pytest.param(b"\x00" * 512, id="NUL bytes of a crashed writer"),
            pytest.param(b'{"name": "x\x00y"}', id="a bare NUL in a text"),
            pytest.param(deep(100_000), id="deep lists"),
            pytest.param(deep(100_000, "{}"), id="deep objects"),
            pytest.param(json.dumps(note("x", tokens=-1)).encode(), id="negative tokens"),
            pytest.param(json.dumps(note("x", tokens=10**400)).encode(), id="a number of 400 digits"),
            pytest.param(json.dumps(note("x", at="9999-12-31T23:59:59-12:00")).encode(), id="the end of the calendar"),
            pytest.param(b'{"name": NaN}', id="NaN"),
            pytest.param(b"\xef\xbb\xbf" + json.dumps(note("x")).encode(), id="a byte order mark inside a file"),
            pytest.param(gzip.compress(b"{}"), id="an archive in a plain file"),
        ],
    )
    def test_it_is_refused_and_hinders_no_other(self, lake: Lake, tmp_path: Path, line: bytes) -> None:
        line = line.replace(b"\n", b" ")
        found = land(lake, tmp_path, source(tmp_path, text_of([GOOD[0], line, GOOD[1]])))
        assert (found.lines, found.accepted, found.rejected) == (3, 2, 1) == sums(lake)
        assert names(lake, tmp_path) == ["a", "b"]
        ((at, _, status, reason),) = letters(lake)
        assert (at, status) == (2, "rejected") and reason

    @pytest.mark.parametrize(
        ("line", "name"),
        [
            pytest.param(deep(100), "deep", id="nested a hundred deep"),
            pytest.param(json.dumps(note("é𝄞\u2028\x85\x0b\x1c")).encode(), "é𝄞\u2028\x85\x0b\x1c", id="escaped signs"),
            pytest.param(
                json.dumps(note("é𝄞\u2028\x85"), ensure_ascii=False).encode(), "é𝄞\u2028\x85", id="other line ends"
            ),
            pytest.param(json.dumps(note("x")).encode() + b"\r", "x", id="CRLF"),
            pytest.param(b" \t" + json.dumps(note("x")).encode() + b"  ", "x", id="blanks around it"),
            pytest.param(b'{"name": "first", "name": "x"}', "x", id="a field twice"),
            pytest.param(json.dumps(note("x", tokens=1.0)).encode(), "x", id="a whole number as a fraction"),
        ],
    )
    def test_it_is_landed_as_it_is(self, lake: Lake, tmp_path: Path, line: bytes, name: str) -> None:
        land(lake, tmp_path, source(tmp_path, text_of([GOOD[0], line, GOOD[1]])))
        assert names(lake, tmp_path) == ["a", name, "b"]

    @settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(text=st.text(st.sampled_from('\x00\x01\\u0"\né'), max_size=12).filter(str))
    @example(text="\\u0000\x00\x00\\\x00")
    def test_nul_which_no_catalog_can_keep_is_replaced_and_all_else_is_as_it_is(self, text: str) -> None:
        line = stamp(Note(name=text), source_name="s", source_file="f", line=1, at=datetime(2026, 3, 2, tzinfo=UTC))
        assert orjson.loads(line)["name"] == text.replace("\x00", "\ufffd")

    def test_a_date_in_the_future_is_landed_on_its_day(self, lake: Lake, tmp_path: Path) -> None:
        future = datetime.now(UTC) + timedelta(days=400)
        found = land(lake, tmp_path, source(tmp_path, text_of([note("x", at=future.isoformat())])))
        assert found.days == {future.date()} and names(lake, tmp_path) == ["x"]

    def test_a_line_of_fifty_megabytes(self, lake: Lake, tmp_path: Path) -> None:
        large = note("large", text="x" * 50_000_000)
        found = land(lake, tmp_path, source(tmp_path, text_of([GOOD[0], large, note("z" * 50_000_000), GOOD[1]])))
        assert (found.accepted, found.rejected) == (4, 0)
        assert [len(name) for name in names(lake, tmp_path)] == [1, 5, 50_000_000, 1]

    @pytest.mark.parametrize("ending", ["", ".zst"])
    def test_a_line_that_is_too_long_is_refused_unread(self, lake: Lake, tmp_path: Path, ending: str) -> None:
        content = text_of([GOOD[0], b'{"name": "' + b"x" * (2 * MAX_LINE_BYTES) + b'"}', GOOD[1]])
        path = source(tmp_path, zstd(content) if ending else content, f"a.jsonl{ending}")
        found = land(lake, tmp_path, path)
        assert (found.accepted, found.rejected) == (2, 1)
        assert "longer than" in letters(lake)[0][3]
        assert land(lake, tmp_path, path).lines == 0


class TestDelivery:
    """The order in which a source was written, and how often, is not the landing zone's to judge: nothing is lost."""

    def test_records_out_of_order_are_landed_on_their_own_days(self, lake: Lake, tmp_path: Path) -> None:
        days = ["2026-03-05", "2026-03-01", "2026-03-03"]
        content = text_of([note(day, at=f"{day}T10:00:00+02:00") for day in days])
        found = land(lake, tmp_path, source(tmp_path, content))
        assert {str(day) for day in found.days} == set(days)
        assert [str(day) for _, day in sorted(landed(lake, tmp_path, "_line, _at::date"))] == days

    def test_a_line_that_stands_twice_is_landed_twice_with_its_places(self, lake: Lake, tmp_path: Path) -> None:
        land(lake, tmp_path, source(tmp_path, text_of([GOOD[0], GOOD[0]])))
        assert landed(lake, tmp_path) == [(1, 0, "a"), (2, 0, "a")]

    def test_a_file_that_is_delivered_again_under_another_name_is_accounted_for(
        self, lake: Lake, tmp_path: Path
    ) -> None:
        content = text_of([*GOOD, b"broken"])
        files = [source(tmp_path, content, "a.jsonl"), source(tmp_path, gzip.compress(content), "a.jsonl.gz")]
        land(lake, tmp_path, *files)
        assert sums(lake) == (6, 4, 2) and len(letters(lake)) == 2
        assert land(lake, tmp_path, *files).lines == 0

    def test_a_file_whose_name_is_no_text(self, lake: Lake, tmp_path: Path) -> None:
        path = tmp_path / os.fsdecode(b"caf\xe9.jsonl")
        path.write_bytes(text_of(GOOD))
        assert land(lake, tmp_path, path).accepted == 2
        assert land(lake, tmp_path, path).lines == 0

    def test_many_small_files_share_a_chunk(self, lake: Lake, tmp_path: Path) -> None:
        files = [source(tmp_path, text_of([note(f"{n:03}")]), f"{n:03}.jsonl") for n in range(100)]
        land(lake, tmp_path, *files)
        assert lake.value("select count(distinct chunk_id) from ops.landing_chunks") == 1
        assert names(lake, tmp_path) == [f"{n:03}" for n in range(100)]
        assert land(lake, tmp_path, *files).lines == 0


PIECES = st.one_of(
    st.integers(0, 9).map(lambda n: text_of([note(str(n))])),
    st.integers(0, 9).map(lambda n: text_of([{"notes": [note(str(n)), {"name": n}]}])),
    st.sampled_from(
        [b"\n", b"\r\n", b"\x00\n", b"{}\n", b"[]\n", b"null\n", b"\xff\n", b'{"notes": 1}\n', b"\xef\xbb\xbf"]
    ),
    st.binary(max_size=20),
)


class TestAnyContent:
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        content=st.lists(PIECES, max_size=10).map(b"".join),
        cuts=st.lists(st.floats(0, 1), max_size=2),
        form=st.sampled_from([NOTES, LISTS]),
        ending=st.sampled_from(["", ".gz", ".zst"]),
    )
    def test_it_is_accounted_for_however_it_is_packed_and_grew(
        self, tmp_path_factory: pytest.TempPathFactory, content: bytes, cuts: list[float], form: Any, ending: str
    ) -> None:
        folder = tmp_path_factory.mktemp("any")
        packed = {"": bytes, ".gz": gzip.compress, ".zst": zstd}[ending]
        with lake_in_memory() as lake, lake_in_memory() as whole:
            path = source(folder, packed(content), f"a.jsonl{ending}")
            land(whole, folder, path, form=form)
            for end in sorted(int(cut * len(content)) for cut in cuts):
                land(lake, folder, source(folder, packed(content[:end]), path.name), form=form)
            land(lake, folder, source(folder, packed(content), path.name), form=form)
            read, accepted, rejected = sums(lake)
            assert read == accepted + rejected == sums(whole)[0]
            assert [status for _, _, status, _ in letters(lake)].count("rejected") == rejected
            assert landed(lake, folder) == landed(whole, folder) and letters(lake) == letters(whole)

    def test_of_a_file_that_is_being_written_every_record_is_landed_once(self, lake: Lake, tmp_path: Path) -> None:
        content = text_of([note(str(number)) if number % 5 else b"broken" for number in range(300)])
        chance = random.Random(1)  # noqa: S311
        path, end = source(tmp_path, b""), 0
        while end < len(content):
            more = chance.randint(1, 2000)
            with path.open("ab") as file:
                file.write(content[end : end + more])
            end += more
            land(lake, tmp_path, path)
        assert sums(lake) == (300, 240, 60)
        assert [int(name) for name in names(lake, tmp_path)] == [n for n in range(300) if n % 5]
