"""Answers from files: what is landed, refused, kept and deleted."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlens_pipeline.experience.answers import AnswerWithComment
from prodlens_pipeline.experience.retention import drop_answers
from prodlens_pipeline.forget import forget
from prodlens_pipeline.landing.readers import open_source
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.migrations import migrate
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline_tests.experience.surveys import answer, make_responses, surveyed, write_csv
from prodlens_pipeline_tests.pipeline import append_lines, day, lake_in_memory, settings_for, write_lines
from prodlens_pipeline_tests.test_forget import content_of

SECRET = "sk-abcdefghijklmnopqrstuvwxyz0123"  # noqa: S105 - nobody's


def project(root: Path, capture: str = "text", **values: Any) -> Any:
    return settings_for(
        root,
        survey={"path": "answers", "capture": capture},
        identities={"ana": ["ana@example.com"], "zoedev": ["zoe@example.com"]},
        **values,
    )


def responses(lake: Lake, columns: str) -> list[tuple[Any, ...]]:
    return lake.rows(f"select {columns} from survey.responses order by answered_at, developer_id, response_id")


def refused(lake: Lake) -> list[tuple[int, str]]:
    return lake.rows("select line, reason from ops.dead_letters order by source_file, line")


def test_a_csv_of_a_spreadsheet_and_json_lines_are_one_survey(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "answers" / "sheet.csv",
        [
            "\ufeffAnswered at;Developer;NPS;Satisfaction;Comment;Survey;Their manager",
            '2026-03-02T10:00:00+01:00;Ana@Example.com;9;4;"good,\nbut slow";round 1;Boss',
            "2026-03-02T10:00:00Z;;3;;;round 1;Boss",
            "2026-03-02T10:00:00Z;;3;;;round 1;Boss",
            "2026-03-03T10:00:00Z;stranger;6;;;;Boss",
        ],
    )
    late = {"answered_at": "2026-03-04T10:00:00Z", "developer": "ANA", "satisfaction": 5, "session": "session-1"}
    write_lines(tmp_path / "answers" / "bot.jsonl", [late])
    with surveyed(project(tmp_path)) as lake:
        found = responses(lake, "developer_id, nps, nps_score, satisfaction, comment, survey, session_id")
        assert found[0] == ("ana", 9, 1, 4, "good,\nbut slow", "round 1", None)
        assert found[1] == found[2] == ("unknown", 3, -1, None, None, "round 1", None)
        assert found[3][0].startswith("unknown:") and found[3][1:] == (6, -1, None, None, "unknown", None)
        assert found[4] == ("ana", None, None, 5, None, "unknown", "session-1")
        respondents = {who for (who,) in responses(lake, "respondent")}
        assert len(respondents) == 4  # two anonymous people, the stranger, and Ana once
        assert "boss" not in content_of(tmp_path / ".prod-lens")


def test_what_is_no_answer_is_refused_by_row_and_hinders_none_beside_it(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "answers" / "a.csv",
        [
            "answered_at,developer,nps,satisfaction",
            "2026-03-02,ana,9,4",
            "2026-03-02T10:00:00Z,ana,11,4",
            "2026-03-02T10:00:00Z,ana,9",
            '2026-03-02T10:00:00Z,"a"na,9,4',
            "2026-03-02T10:00:00Z,ana,,",
            "",
            "2026-03-02T10:00:00Z,ana,10,5",
        ],
    )
    write_lines(tmp_path / "answers" / "b.jsonl", [{"answered_at": 1772445600, "nps": True}, b"{"])
    with surveyed(project(tmp_path)) as lake:
        assert responses(lake, "nps") == [(10,)]
        reasons = refused(lake)
        assert [line for line, _ in reasons] == [2, 3, 4, 5, 6, 1, 2]
        for (_, reason), words in zip(
            reasons,
            (
                "timezone",
                "nps",
                "3 cells, and the header has 4",
                "no row of CSV",
                "answers nothing",
                "text such as",
                "JSON",
            ),
            strict=True,
        ):
            assert words in reason
        read, accepted, rejected = lake.rows("select sum(lines), sum(accepted), sum(rejected) from ops.landing_chunks")[
            0
        ]
        assert (read, accepted, rejected) == (8, 1, 7)


def test_a_file_that_was_exported_again_counts_once_and_in_its_newest_words(tmp_path: Path) -> None:
    path = tmp_path / "answers" / "a.csv"
    first = [
        answer("2026-03-02 10:00", "ana", nps=9, id="one"),
        answer("2026-03-02 10:00", nps=3),
        answer("2026-03-02 10:00", nps=3),
    ]
    write_csv(path, first)
    configured = project(tmp_path)
    with surveyed(configured) as lake:
        assert not make_responses(lake, configured)
        assert lake.value("select count(*) from ops.landing_chunks") == 1
        changed = answer("2026-03-02 10:00", "ana", nps=2, id="one")
        write_csv(path, [answer("2026-03-05 10:00", "ana", nps=8), changed, *first[1:]])
        make_responses(lake, configured)
        assert responses(lake, "developer_id, nps") == [("ana", 2), ("unknown", 3), ("unknown", 3), ("ana", 8)]


def test_comments_are_dropped_before_anything_is_stored_unless_they_may_be_kept(tmp_path: Path) -> None:
    said = f"my key {SECRET}, or ask bo@example.org about the Walrus"
    rows = [
        answer("2026-03-02 10:00", "ana", nps=9, comment=said),
        answer("2026-03-02 11:00", "ana", nps=99, comment=said),
    ]
    write_csv(tmp_path / "answers" / "a.csv", rows)
    with surveyed(project(tmp_path, "none")) as lake:
        assert responses(lake, "nps, comment") == [(9, None)]
        assert lake.value("select raw_text from ops.dead_letters") == ""
    assert "walrus" not in content_of(tmp_path / ".prod-lens")

    other = tmp_path / "other"
    write_csv(other / "answers" / "a.csv", rows)
    with surveyed(project(other)) as lake:
        ((kept,),) = responses(lake, "comment")
        assert "about the Walrus" in kept and SECRET not in kept and "bo@example.org" not in kept
        make_responses(lake, project(other, "none"))
        assert responses(lake, "comment") == [(None,)]
        assert (
            drop_answers(lake, other / ".prod-lens" / "landing", project(other, "none").survey, day("2026-01-01")) == 0
        )
    landed = content_of(other / ".prod-lens")
    assert "walrus" not in landed and SECRET not in landed


def test_answers_are_kept_for_their_own_time_record_by_record(tmp_path: Path) -> None:
    write_csv(
        tmp_path / "answers" / "a.csv",
        [answer(f"2026-0{month}-02 10:00", "ana", nps=month, comment=f"month {month}") for month in (1, 2, 3)],
    )
    configured = project(tmp_path)
    with surveyed(configured) as lake:
        assert drop_answers(lake, configured.landing, configured.survey, day("2026-03-01")) == 2
        assert responses(lake, "nps") == [(3,)]
        assert lake.rows("select sum(lines), sum(accepted) from ops.landing_chunks") == [(1, 1)]
        landed = content_of(tmp_path / ".prod-lens")
        assert "month 3" in landed and "month 1" not in landed
        assert drop_answers(lake, configured.landing, configured.survey, day("2026-03-01")) == 0
        make_responses(lake, configured)
        assert responses(lake, "nps") == [(3,)]
        assert drop_answers(lake, configured.landing, configured.survey, day("2026-04-01")) == 1
        make_responses(lake, configured)
        assert responses(lake, "nps") == []


def test_a_path_that_means_nothing_is_told_and_no_path_is_no_survey(tmp_path: Path) -> None:
    with lake_in_memory() as lake:
        (problem,) = make_responses(lake, project(tmp_path))
        assert "survey:answers: no file matches" in problem
        assert make_responses(lake, settings_for(tmp_path)) == []


def test_a_forgotten_developer_leaves_with_their_answers_and_out_of_others_comments(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "answers" / "a.jsonl",
        [
            {"answered_at": "2026-03-02T10:00:00Z", "developer": "zoe@example.com", "nps": 9, "comment": "fine by me"},
            {"answered_at": "2026-03-02T10:00:00Z", "developer": "ana", "nps": 4, "comment": "zoedev, help me"},
        ],
    )
    configured = project(tmp_path, retention={"survey_days": 36500})
    with open_lake(Location.of(configured)) as lake:
        migrate(lake)
        make_responses(lake, configured)
        done = forget(lake, configured, "zoedev")
        assert (done.dropped, done.changed) == (1, 1)
        kept = content_of(configured.home)
        assert "zoe" not in kept and "fine by me" not in kept
        append_lines(tmp_path / "answers" / "a.jsonl", [{"answered_at": "2026-03-03T10:00:00Z", "nps": 5}])
        make_responses(lake, settings_for(tmp_path, survey={"path": "answers", "capture": "text"}))
        assert [row[1:] for row in responses(lake, "developer_id, nps, comment")] == [
            (4, "forgotten, help me"),
            (5, None),
        ]


DECADES = datetime(1990, 1, 1), datetime(2200, 1, 1)  # noqa: DTZ001 - hypothesis adds the zone
_cell = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=30)


@settings(max_examples=60)
@given(
    rows=st.lists(
        st.fixed_dictionaries({
            "answered_at": st.datetimes(*DECADES, timezones=st.just(UTC)).map(datetime.isoformat),
            "nps": st.integers(0, 10).map(str),
            "developer": _cell,
            "comment": _cell,
        }),
        max_size=6,
    ),
    delimiter=st.sampled_from(",;\t"),
    line_end=st.sampled_from(["\n", "\r\n"]),
)  # fmt: skip
def test_whatever_a_spreadsheet_writes_is_read_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]], delimiter: str, line_end: str
) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(
            file, ("answered_at", "nps", "developer", "comment"), delimiter=delimiter, lineterminator=line_end
        )
        writer.writeheader()
        writer.writerows(rows)
    with open_source(path, None) as reading:
        items = [item for item in reading.items if item.content]
        assert reading.damage is None
    found = [AnswerWithComment.model_validate_json(item.content) for item in items]
    assert [(one.nps, one.developer or "", one.comment or "") for one in found] == [
        (int(row["nps"]), row["developer"].strip(), row["comment"].strip()) for row in rows
    ]


@settings(max_examples=100)
@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_to_their_end(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "a.csv"
    path.write_bytes(content)
    with open_source(path, None) as reading:
        items = list(reading.items)
    assert [item.line for item in items] == sorted({item.line for item in items})
    assert all(item.flaw or not item.content or isinstance(json.loads(item.content), dict) for item in items)
    if items and reading.damage is None:
        assert items[-1].end == len(content) + len(reading.head)
