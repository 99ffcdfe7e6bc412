"""The one place where names and numbers of the warehouse become words for people.

Belongs here: labels, and the formats of numbers, money, shares and dates. Does not: sentences about a result.

What is not known is said to be so: `None` never becomes 0.
"""

from datetime import datetime

from prodlens_pipeline.analysis.labels import LABELS as SERIES
from prodlens_pipeline.warehouse.windows import Window

UNKNOWN = "unknown"
NOT_ENOUGH_DATA = "not enough data"
NONE = "-"

LABELS = {
    **SERIES,
    "list_price": "list price of the tokens",
    "gateway_cache": "the gateway's own cache, at no cost",
    "unpriced": "no known price",
    "client_version": "client",
    "litellm": "LiteLLM log",
    "claude_code": "Claude Code transcripts",
    "git": "git history",
    "github": "GitHub",
    "phoenix": "Phoenix spans",
    "otlp": "OpenTelemetry spans",
    "codex": "Codex transcripts",
    "opened": "opened",
    "reviewed": "with a review",
    "approved": "approved",
    "merged": "merged",
    "closed": "closed without a merge",
    "open": "still open",
    "coding": "coding: first commit to opening",
    "pickup": "pickup: opening to first review",
    "review": "review: first review to approval",
    "merge": "merge: approval to merge",
    "total": "opening to merge",
}


def label(name: str) -> str:
    """A column or source as people call it; a name without an entry is at least readable."""
    return LABELS.get(name, name.replace("_", " "))


def titled(name: str) -> str:
    """The label at the start of a line."""
    text = label(name)
    return text[:1].upper() + text[1:]


def printable(text: str) -> str:
    """`text` without control characters: a name in a log may try to steer the terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def whole(value: float | None) -> str:
    """A count with thousands separators."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def money(value: float | None) -> str:
    """Dollars: cents below $1,000, and enough digits below a cent to tell it from nothing."""
    if value is None:
        return UNKNOWN
    if value == 0 or 0.01 <= abs(value) < 1000:
        return f"${value:,.2f}"
    return f"${value:,.0f}" if abs(value) >= 1000 else f"${value:.2g}"


def percent(share: float | None) -> str:
    """A share in percent; only nothing is 0% and only all of it is 100%."""
    if share is None:
        return UNKNOWN
    if share in (0, 1):
        return f"{share:.0%}"
    if 0 < share < 0.0005:
        return "<0.1%"
    if 0.9995 <= share < 1:
        return ">99.9%"
    return f"{share:.1%}"


def plain(value: float | None) -> str:
    """About three digits, with thousands separators."""
    if value is None:
        return UNKNOWN
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def quantity(value: float | None, unit: str) -> str:
    """A metric's value in its unit; without a value there was not enough data."""
    if value is None:
        return NOT_ENOUGH_DATA
    if unit == "share":
        return percent(value)
    if unit.startswith("USD"):
        return money(value)
    return f"{plain(value)} {unit}"


def threshold(value: float | None, unit: str, direction: str) -> str:
    """What a pass needs, in the unit of the value beside it."""
    if value is None or direction == "show":
        return NONE
    sign = ">" if direction == "above" else "<"
    if unit == "share":
        return f"{sign} {value * 100:.10g}%"
    return f"{sign} {money(value) if unit.startswith('USD') else plain(value)}"


def correlation(value: float | None) -> str:
    """A correlation with its sign and two digits."""
    return NONE if value is None else f"{value:+.2f}"


def estimate(value: float | None, low: float | None, high: float | None, *, digits: int = 2, unit: str = "") -> str:
    """A figure never goes without its 95% interval: `+0.57 [+0.37, +0.72]`."""
    if value is None or low is None or high is None:
        return NONE
    return f"{value:+.{digits}f}{unit} [{low:+.{digits}f}, {high:+.{digits}f}]"


def bare(value: float | None, unit: str) -> str:
    """A metric's value where its unit is named elsewhere; money and shares keep theirs."""
    if value is None:
        return NONE
    return quantity(value, unit) if unit == "share" or unit.startswith("USD") else plain(value)


def difference(value: float | None, unit: str) -> str:
    """A difference of two values in `unit`, with its sign; that of two shares is in percentage points."""
    if value is None:
        return NONE
    if unit == "share":
        points = round(value * 100, 1)
        return f"{points:+.1f} points" if points else "0.0 points"
    size = bare(abs(value), unit)
    return size if value == 0 else f"{'+' if value > 0 else '-'}{size}"


def measured(value: float | None, low: float | None, high: float | None, unit: str) -> str:
    """A difference with its 95% interval, all with the same digits: `+0.62 [+0.33, +0.91]`."""
    if value is None or low is None or high is None:
        return NONE
    scale = 100 if unit == "share" else 1
    digits = 1 if unit == "share" else _digits(max(abs(low), abs(high)))
    middle, least, most = (_signed(number * scale, digits) for number in (value, low, high))
    if unit.startswith("USD"):
        middle = f"{middle[0]}${middle[1:]}" if middle[0] in "+-" else f"${middle}"
    return f"{middle}{' points' if unit == 'share' else ''} [{least}, {most}]"


def _signed(value: float, digits: int) -> str:
    """With its sign, unless it rounds to 0."""
    text = f"{value:+,.{digits}f}"
    return text if text.strip("+-0.,") else text[1:]


def _digits(size: float) -> int:
    """Decimals that leave about three digits of a number of this size."""
    steps = ((100, 0), (10, 1), (0.1, 2), (0.01, 3), (1e-6, 4))
    return next((digits for least, digits in steps if size >= least), 0)


def probability(value: float | None) -> str:
    """A p or q; below a thousandth the digits mean nothing."""
    if value is None:
        return NONE
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def hours(value: float | None) -> str:
    """A duration in hours, in days where it is more than two of them."""
    if value is None:
        return NONE
    return f"{plain(value)} h" if value <= 48 else f"{plain(value / 24)} days"


def moment(value: datetime | None) -> str:
    """A UTC time to the minute."""
    return UNKNOWN if value is None else f"{value:%Y-%m-%d %H:%M} UTC"


def counted(n: int, singular: str, plural: str | None = None) -> str:
    """`1 day`, `2 days`."""
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"


def days(window: Window) -> str:
    """First and last day of a window."""
    return f"{window.start} to {window.days[-1]}"


def span(window: Window) -> str:
    """First and last day of a window, and how many there are."""
    return f"{days(window)}, {counted(len(window.days), 'day')} (UTC)"
