"""What is true of a simulated team: its effect, and what it did on each day.

Belongs here: the record that tests and the demo hold the pipeline against, counted from what was generated,
never read back from the files. Does not: anything an analysis estimates.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from prodlens_pipeline.simulation.conversations import Conversation
from prodlens_pipeline.simulation.history import History, rework
from prodlens_pipeline.simulation.surveys import Answer, net_promoter_score
from prodlens_pipeline.simulation.team import Plan, effect_pct, session_quartiles


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DayTotals(_Frozen):
    """What one developer, service key or bot did on one UTC day. A row exists where anything happened."""

    day: date
    developer: str
    sessions: int = 0
    calls: int = 0
    """Calls of a client: retries and fallbacks are part of the call they rescue; subagents' calls count."""
    input_tokens: int = 0
    """Neither read from nor written to the cache. All tokens are those a provider charged for."""
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    errors: int = 0
    """Calls that were never answered."""
    retried: int = 0
    """Calls answered after a failed attempt, by the same model or another."""
    disconnected: int = 0
    """Answered calls whose client left before the end (code 499); their tokens count, they are no errors."""
    gateway_cache_hits: int = 0
    commits: int = 0
    """Commits that are no merges, by author day."""
    ai_commits: int = 0
    """Those of them that name an assistant as co-author."""
    merged_pull_requests: int = 0
    accepted_edits: int = 0
    rejected_edits: int = 0


class Truth(_Frozen):
    """The truth of one simulated team, written as `truth.json`."""

    start: date
    end: date
    developers: tuple[str, ...]
    repositories: tuple[str, ...]
    driver: Literal["sessions"] = "sessions"
    outcome: Literal["commits"] = "commits"
    effect: float
    """Elasticity of the team's commits in its sessions, at the mean."""
    lag: int
    """Working days (neither weekend nor holiday) from the sessions to the commits they drive."""
    effect_pct: float | None
    """Change of commits, in %, for one interquartile range of the team's daily sessions on working days."""
    sessions_q1: float
    sessions_q3: float
    sessions_mean: float
    """Of the team's daily sessions on working days, the service's left out."""
    holidays: tuple[date, ...]
    reverted_within_21_days: int
    reverted_later: int
    """Merged pull requests that a later merged pull request took back."""
    survey_answers: int
    """Answers to surveys; none depends on AI use."""
    net_promoter_score: float | None
    """In points, of the last answer of each developer; None where nobody answered."""
    daily: tuple[DayTotals, ...]


def truth_of(plan: Plan, conversations: Iterable[Conversation], history: History, answers: list[Answer]) -> Truth:
    """Count what was generated."""
    tallies: defaultdict[tuple[date, str], Counter[str]] = defaultdict(Counter)
    for conversation in conversations:
        tallies[conversation.day, conversation.developer] += _conversation(conversation)
    _count_delivery(tallies, history)
    lower, upper, mean = session_quartiles(plan)
    early, late = rework(history)
    return Truth(
        start=plan.team.start,
        end=plan.team.end,
        developers=tuple(plan.team.developer_names),
        repositories=tuple(plan.team.repository_names),
        effect=plan.team.effect,
        lag=plan.team.lag,
        effect_pct=effect_pct(plan),
        sessions_q1=lower,
        sessions_q3=upper,
        sessions_mean=mean,
        holidays=plan.holidays,
        reverted_within_21_days=early,
        reverted_later=late,
        survey_answers=len(answers),
        net_promoter_score=net_promoter_score(answers),
        daily=tuple(
            DayTotals(day=day, developer=developer, **counts)
            for (day, developer), counts in sorted(tallies.items(), key=lambda item: item[0])
        ),
    )


def _conversation(conversation: Conversation) -> Counter[str]:
    counts = Counter(
        sessions=1,
        calls=len(conversation.calls),
        accepted_edits=conversation.accepted_edits,
        rejected_edits=conversation.rejected_edits,
    )
    kinds = {
        "failed": "errors",
        "retried": "retried",
        "fallback": "retried",
        "disconnected": "disconnected",
        "gateway_cache_hit": "gateway_cache_hits",
    }
    for call in conversation.calls:
        if call.outcome != "ok":
            counts[kinds[call.outcome]] += 1
        if call.billed:
            counts["input_tokens"] += call.input_tokens
            counts["cache_read_tokens"] += call.cache_read_tokens
            counts["cache_write_tokens"] += call.cache_write_tokens
            counts["output_tokens"] += call.output_tokens
    return counts


def _count_delivery(tallies: defaultdict[tuple[date, str], Counter[str]], history: History) -> None:
    for pull_request in history.pull_requests:
        for commit in pull_request.commits:
            counts = tallies[_day(commit.at), pull_request.author]
            counts["commits"] += 1
            counts["ai_commits"] += commit.ai_assisted
        if pull_request.merged_at is not None:
            tallies[_day(pull_request.merged_at), pull_request.author]["merged_pull_requests"] += 1


def _day(at: int) -> date:
    return datetime.fromtimestamp(at, UTC).date()
