"""One person's answers to one survey: what is kept of them, and `survey.answers`.

Belongs here: the contract, the formats with and without comments, the raw table. Does not: whom a name means
(`dbt_like_sql/survey/responses.sql`). How to import answers: `docs/sources/survey.md`.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from prodlens_pipeline.landing.manifest import chunk_paths
from prodlens_pipeline.landing.records import EventTime, Format, Record, read_chunks
from prodlens_pipeline.landing.redaction import FreeText
from prodlens_pipeline.settings import Survey
from prodlens_pipeline.warehouse.contracts import Column, Contract
from prodlens_pipeline.warehouse.lake import Lake, Query

SOURCE = "survey"
MOST_CHARACTERS = 10_000


def _is_text(at: Any) -> Any:
    if not isinstance(at, str):
        raise ValueError("must be a text such as 2026-03-02T10:00:00Z")
    return at


def _is_no_flag(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Comment = Annotated[FreeText, Field(max_length=MOST_CHARACTERS)]


class Answer(Record):
    """The answers of one person at one time; a comment is read but never landed."""

    answered_at: Annotated[EventTime, BeforeValidator(_is_text)] = Field(description="RFC 3339 with an offset")
    nps: Annotated[int, BeforeValidator(_is_no_flag), Field(ge=0, le=10)] | None = Field(
        None, description="Would you recommend working with the assistants? 0 not at all, 10 by all means"
    )
    satisfaction: Annotated[int, BeforeValidator(_is_no_flag), Field(ge=1, le=5)] | None = Field(
        None, description="How satisfied are you with them? 1 not at all, 5 very"
    )
    comment: _Comment | None = Field(None, exclude=True, description="Free text")
    developer: _Name | None = Field(None, description="Who answered, by any name that `identities` knows")
    session: _Name | None = Field(None, description="The AI session that the answer is about")
    survey: _Name | None = Field(None, description="Name of the survey, or of its round")
    id: _Name | None = Field(None, description="Unique for all time; a record that repeats an id is the same answer")

    @property
    def event_time(self) -> datetime:
        """When it was answered."""
        return self.answered_at

    @model_validator(mode="after")
    def _answers_something(self) -> Self:
        if self.nps is None and self.satisfaction is None and not self.comment:
            raise ValueError("it answers nothing: it needs nps, satisfaction or comment")
        return self


class AnswerWithComment(Answer):
    """The same with its comment, redacted."""

    comment: _Comment | None = Field(None, description="Free text")


def answer_format(survey: Survey) -> Format:
    """How answers are landed: with their comments only where the configuration says so."""
    comments = survey.capture == "text"
    record = AnswerWithComment if comments else Answer
    return Format(SOURCE, record, pattern=("**/*.csv", "**/*.jsonl"), excerpts=comments)


ANSWERS = Contract(
    schema="survey",
    name="answers",
    description="One row per answer to a survey, as it was landed; one that was imported twice is there once.",
    key=("response_id",),
    partitioned=False,
    not_null=("answered_at", "source_name"),
    owner="team:experience",
    columns=(
        Column("response_id", "VARCHAR", "the id it came with, or a hash of who answered what and when"),
        Column("survey", "VARCHAR", "name of the survey; NULL where the source says none"),
        Column("answered_at", "TIMESTAMP", "when", "UTC"),
        Column("developer", "VARCHAR", "who, as the source names them; NULL where it was anonymous"),
        Column("session_id", "VARCHAR", "the AI session it is about; NULL where none is named"),
        Column("nps", "BIGINT", "would recommend: 0 to 10; NULL where not answered"),
        Column("satisfaction", "BIGINT", "satisfied: 1 to 5; NULL where not answered"),
        Column("comment", "VARCHAR", "free text, redacted; NULL where there is none or the configuration keeps none"),
        Column("source_name", "VARCHAR", "configured source"),
        Column("source_file", "VARCHAR", "file"),
        Column("line", "BIGINT", "line of the file"),
    ),
)


def answer_query(lake: Lake, landing: Path, survey: Survey) -> Query:
    """Rows of `ANSWERS`: every landed answer, in its newest version."""
    return Query(
        _ANSWERS.format(records=read_chunks(AnswerWithComment, chunk_paths(lake, landing, SOURCE, None))),
        {"with_comments": survey.capture == "text"},
    )


# An anonymous answer has no name to be known again by: equal ones of one file are several people's, and the nth of them
# is the nth when the file comes again.
_ANSWERS = """
with landed as (
    select record.*, arrival.collected_at
    from {records} as record
    left join (
        select chunk_id, max(collected_at) as collected_at from ops.landing_chunks where source = 'survey' group by all
    ) as arrival on record._chunk = arrival.chunk_id
),
told_apart as (
    select
        *,
        case when developer is null then concat_ws('/', nps, satisfaction, row_number() over (
            partition by _chunk, _file, survey, _at, nps, satisfaction, developer order by _line
        )) end as which
    from landed
),
named as (
    select
        *,
        coalesce(id, left(sha256(concat_ws(chr(10), survey, lower(developer), _at::varchar, which)), 24)) as response_id
    from told_apart
)
select
    response_id,
    survey,
    _at as answered_at,
    developer,
    session as session_id,
    nps,
    satisfaction,
    case when $with_comments then comment end as comment,
    _source as source_name,
    _file as source_file,
    _line as line
from named
qualify row_number() over (
    partition by response_id order by collected_at desc nulls last, _source, _file, _line desc
) = 1
"""
