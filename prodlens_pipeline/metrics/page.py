"""`docs/metrics.md`: the registry as a page, written by `python -m prodlens_pipeline.metrics.page > docs/metrics.md`.

Belongs here: the page's words around the registry. Does not: any definition.
"""

import sys

from prodlens_pipeline.metrics.registry import METRICS, Metric

_HEAD = """# Metrics

One entry of [the registry](../prodlens_pipeline/metrics/registry.py) is one metric; this page is made from it. A value
is shown with its sample, never below its minimum sample. Thresholds can be set in `prodlens.yaml` under `thresholds`.
Values over all days are in `analysis.scorecard`, those of single days, with their samples however small, in
`analysis.daily_metrics`; both for the team, each developer and each repository, where the metric knows these.

What holds everywhere:

- Days are UTC. Bots are left out, or shown apart.
- A call is counted once however many sources saw it ([ADR 9](adr/0009-identity-of-a-call.md)).
- A session ends where the conversation is idle for 30 minutes ([ADR 3](adr/0003-sessions.md)).
- An edit that nobody decided about is not rejected. Two bases of acceptance are shown apart: *tool* (the user let the
  edit be applied, or a person said so) and *landed* (it is in a commit, [ADR 10](adr/0010-texts-for-a-while.md)).
- What has not elapsed yet (21 days of rework and survival, 72 hours of landing) is not known, and in no denominator
  ([ADR 6](adr/0006-rework.md)).
- The size of a code base is what it is now, not a figure of some days, and so in a table of its own:
  `raw.git_codebase` has files, lines, types, the largest files and estimated tokens (bytes / 4) at the head of each
  clone's default branch. A check warns where counting them took 30 s or more.
- Complexity is the sum of four parts of at most 25 points ([ADR 11](adr/0011-complexity.md)).
"""


def metrics_page() -> str:
    """The page: one section a metric, in the order of the registry."""
    return _HEAD + "".join(_section(metric) for metric in METRICS)


def _section(metric: Metric) -> str:
    target = (
        "-"
        if metric.threshold is None
        else f"{'over' if metric.direction == 'above' else 'under'} {metric.threshold:g} {metric.unit}"
    )
    scopes = ", ".join(["team", *(["developer"] if metric.developer else []), *(["repository"] if metric.repo else [])])
    return (
        f"\n## {metric.title}\n\n"
        f"`{metric.name}`: {metric.formula}.\n\n"
        "| unit | target | sample | minimum | by | from | required in |\n"
        "|---|---|---|---|---|---|---|\n"
        f"| {metric.unit} | {target} | {metric.sample_unit} | "
        f"{metric.minimum_sample} | {scopes} | `{metric.table}` | {metric.source} |\n"
    )


if __name__ == "__main__":
    sys.stdout.write(metrics_page())
