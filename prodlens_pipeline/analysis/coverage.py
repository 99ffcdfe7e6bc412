"""How much of what the figures count is known well enough to count.

Belongs here: the shares, read over a window. Does not: judging a source (`reporting/quality`), showing them.
"""

from dataclasses import dataclass

from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.windows import Window

NO_REPOSITORY = "unknown"
"""The repository of sessions whose source tells none."""
WELL_COVERED = 0.95
"""A share of known things below this is worth a caveat."""
WEIGHTY = ("Developer known", "Author known", "Repository known", "Cost known", "Output fully counted")
"""The coverage that headlines rest on."""


@dataclass(frozen=True)
class Coverage:
    """How many of `total` things are known well enough to count; `unit` names the things."""

    title: str
    known: int
    total: int
    unit: str
    meaning: str

    @property
    def share(self) -> float | None:
        """Known of all; None where there is none."""
        return self.known / self.total if self.total else None


def coverage(lake: Lake, window: Window) -> tuple[Coverage, ...]:
    """What is known of sessions, calls and commits in `window`."""
    within = "where day >= $window_start and day < $window_end"
    mapped = "not starts_with({}, 'unknown:')"
    sessions, owned, placed, edits, decided = lake.rows(
        f"select count(*), count(*) filter ({mapped.format('developer_id')}), "
        "count(*) filter (repo <> $no_repository), "
        "coalesce(sum(suggestions), 0)::bigint, coalesce(sum(decided_suggestions), 0)::bigint "
        f"from core.sessions {within}",
        {**window.parameters, "no_repository": NO_REPOSITORY},
    )[0]
    calls, priced, complete, timed = lake.rows(
        "select count(*), count(cost_usd), count(*) filter (not coalesce(output_underreported, false)), "
        f"count(latency_ms) from core.llm_calls {within}",
        window.parameters,
    )[0]
    commits, authored, sized = lake.rows(
        f"select count(*), count(*) filter ({mapped.format('author_id')}), count(additions) "
        f"from core.commits {within} and not is_bot and not is_merge",
        window.parameters,
    )[0]
    return (
        Coverage(
            "Developer known", owned, sessions, "AI sessions", "the identity is mapped to a developer in prodlens.yaml"
        ),
        Coverage(
            "Author known",
            authored,
            commits,
            "commits",
            "the author's e-mail is mapped to a developer in prodlens.yaml",
        ),
        Coverage(
            "Repository known", placed, sessions, "AI sessions", "the working directory tells a configured repository"
        ),
        Coverage(
            "Cost known", priced, calls, "calls to models", "the gateway logged a cost, or the model has a list price"
        ),
        Coverage(
            "Output fully counted", complete, calls, "calls to models", "the client is not known to log too few tokens"
        ),
        Coverage("Latency measured", timed, calls, "calls to models", "the source measures start and end of a call"),
        Coverage("Acceptance decided", decided, edits, "suggested edits", "the user applied or rejected the edit"),
        Coverage("Size known", sized, commits, "commits", "the clone is deep enough to count changed lines"),
    )
