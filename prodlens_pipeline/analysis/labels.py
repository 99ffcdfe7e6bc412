"""What people call the series that are compared.

Belongs here: the names of drivers and outcomes in sentences. Does not: sources, metrics, numbers (`reporting/words`).
"""

LABELS = {
    "sessions": "AI sessions",
    "calls": "calls to models",
    "active_hours": "hours with AI use",
    "output_tokens": "output tokens",
    "cost_usd": "AI cost",
    "accepted_lines": "accepted lines",
    "commits": "commits",
    "prs_merged": "merged pull requests",
    "additions": "added lines",
}


def amount(name: str, value: float) -> str:
    """A value of a series with as many digits as people read."""
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{text} USD" if name == "cost_usd" else text


def label(name: str) -> str:
    """The name of a series; a column without one is at least readable."""
    return LABELS.get(name, name.replace("_", " "))
