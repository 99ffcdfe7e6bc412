"""What a row of associations is worth, as a word and as a sentence for people who do not read statistics.

Belongs here: the statuses, the wording.
Does not: any figure; a sentence repeats what the row says and adds nothing.

The sentences say "goes with", never more: an association does not tell what brings about what. They name series as
people call them (`labels`).
"""

from enum import StrEnum
from typing import Any

from prodlens_pipeline.analysis.labels import amount, label

SIGNIFICANT = 0.05
"""Only a q-value below this is called an association."""
WEAK_SIGHT = 0.5
"""A sample that could only have shown a correlation above this says little by showing nothing."""


WEAK_SIGHT_PERCENT = 50
"""A panel that could only have shown a larger effect than this says little by showing nothing."""


class Status(StrEnum):
    """What a row's figures are worth."""

    OK = "ok"
    LOW_SAMPLE = "low_sample"
    """6 to 29 pairs: shown, with a flag."""
    NOT_ENOUGH_DATA = "not_enough_data"
    """1 to 5 pairs: no statistic."""
    NO_DATA = "no_data"
    """No pair at all."""
    NO_VARIATION = "no_variation"
    """One of the series is constant, or is so once its weekday and trend are known."""
    WITHHELD = "withheld"
    """A placebo of the same driver and outcome is significant: something else drives both."""


class EventStatus(StrEnum):
    """What an event study's figures are worth."""

    OK = "ok"
    NOT_ENOUGH_DATA = "not enough data"
    NO_VARIATION = "no variation"
    PRE_TREND = "pre-trend differs"
    """Adopters drifted away from the others before they adopted."""
    PLACEBO = "placebo date shows a change"
    """A date at which nothing happened shows a change too."""


class Standing(StrEnum):
    """How a configuration compares with the others of its setting."""

    BEST = "best"
    """Succeeds more often than every other one, beyond chance and within the same developers."""
    LEVEL = "no clear difference"
    BEHIND = "behind"
    """The one that succeeds most often does so more often than this one, beyond chance."""
    ALONE = "nothing to compare"
    NOT_ENOUGH_DATA = "not enough data"


def read(row: dict[str, Any]) -> str:
    """One plain sentence about a row of `association_family`, given as a dict of its columns."""
    driver, outcome, lag = label(row["driver"]), label(row["outcome"]), row["lag"]
    match row["status"]:
        case Status.NO_DATA:
            return f"No data: {driver} and {outcome} are never known on matching days."
        case Status.NOT_ENOUGH_DATA:
            return f"Not enough data: {_pairs(row['n'])} of days, and at least 6 are needed."
        case Status.NO_VARIATION:
            return f"Nothing to compare: {driver} or {outcome} do not vary beyond their weekday and trend."
        case Status.WITHHELD:
            return f"Withheld: {outcome} go with {driver} of later days too, so something else seems to drive both."
    flag = f"Low sample ({_pairs(row['n'])}): " if row["status"] == Status.LOW_SAMPLE else ""
    if row["is_placebo"]:
        return flag + _placebo(driver, outcome, lag, significant=row["q_value"] < SIGNIFICANT)
    if row["q_value"] < SIGNIFICANT:
        return flag + _association(row)
    if row["min_detectable_r"] > WEAK_SIGHT:
        return (
            f"{flag}No association seen, but we could hardly have seen one: only a correlation of "
            f"{row['min_detectable_r']:.2f} or more would have shown in four samples of five."
        )
    return (
        f"{flag}No association seen {_when(lag)}; a correlation of {row['min_detectable_r']:.2f} or more would have "
        "shown in four samples of five."
    )


def read_panel(row: dict[str, Any]) -> str:
    """One plain sentence about a row of `panel_family`, given as a dict of its columns."""
    driver, outcome = label(row["driver"]), label(row["outcome"])
    match row["status"]:
        case Status.NOT_ENOUGH_DATA:
            enough = f"{row['developers']} developer{'' if row['developers'] == 1 else 's'}"
            return (
                f"Not enough data: {enough} with 20 known working days of AI use, and 5 are needed to compare them "
                "with each other."
            )
        case Status.NO_VARIATION:
            return f"Nothing to compare: {driver} or {outcome} do not differ between developers and days."
        case Status.WITHHELD:
            return (
                f"Withheld: {outcome} go with {driver} of later days, or of other developers, as well, so something "
                "else seems to drive both."
            )
    flag = f"Few developers ({row['developers']}): " if row["status"] == Status.LOW_SAMPLE else ""
    if row["is_placebo"]:
        return flag + _placebo(driver, outcome, row["lag"], significant=row["q_value"] < SIGNIFICANT)
    if row["q_value"] < SIGNIFICANT:
        return (
            f"{flag}A typical step up in a developer's {driver}, {_step(row)}, goes with "
            f"{_more(row, row['slope'], outcome)} by that developer {_when(row['lag'])}, compared with the same "
            "developer's other days and with colleagues on the same day."
        )
    return f"{flag}No association seen {_when(row['lag'])}{_panel_sight(row)}"


def read_event(row: dict[str, Any]) -> str:
    """One plain sentence about a row of `event_studies`, given as a dict of its columns."""
    name, outcome = row["intervention"], label(row["outcome"])
    match row["status"]:
        case EventStatus.NOT_ENOUGH_DATA:
            return (
                f"Not enough data about {name}: it takes 3 developers whom it reached and 3 to compare them with, or "
                "one date for all, and weeks before and after."
            )
        case EventStatus.NO_VARIATION:
            return f"Nothing to compare: the number of {outcome} does not vary."
        case EventStatus.PRE_TREND:
            return f"Withheld: {outcome} of those whom {name} reached were drifting away from the others' before it."
        case EventStatus.PLACEBO:
            return f"Withheld: {outcome} show such a change on a date before {name}, too, when nothing happened."
    alone = row["comparisons"] == 0
    caveat = "; nobody was left to compare with, so anything else of that time would look the same" if alone else ""
    interval = _interval(row, "effect_pct", "%") if row["effect_pct"] is not None else _interval(row, "effect", "")
    if row["q_value"] < SIGNIFICANT:
        against = "than before" if alone else "than before, beyond the change of developers whom it had not reached"
        return f"After {name}, there are {_more(row, row['effect'], outcome)} {against}{caveat}."
    return f"No change in {outcome} seen after {name}{interval}{caveat}."


def read_configuration(row: dict[str, Any]) -> str:
    """One plain sentence about a row of `model_comparison`, given as a dict of its columns."""
    name = row["configuration"]
    if row["standing"] == Standing.NOT_ENOUGH_DATA:
        sessions = f"{row['sessions']} session{'' if row['sessions'] == 1 else 's'}"
        return f"Not enough data: {name} has {sessions}, and 20 are needed."
    rate = (
        f"{100 * row['success_rate']:.0f}% of {row['sessions']:,} sessions with {name} ended without an error "
        f"(95% interval {100 * row['success_low']:.0f}% to {100 * row['success_high']:.0f}%)"
    )
    match row["standing"]:
        case Standing.BEST:
            return f"{rate}, more than with any other {_setting(row)} in the hands of the same developers."
        case Standing.BEHIND:
            return f"{rate}, fewer than with the {_setting(row)} that succeeds most often."
        case Standing.ALONE:
            return f"{rate}; there is no other {_setting(row)} to compare with."
    return f"{rate}; no difference to the others can be shown."


def _pairs(n: int) -> str:
    return f"{n} pair{'' if n == 1 else 's'}"


def _setting(row: dict[str, Any]) -> str:
    return str(row["setting"]).replace("_", " ")


def _panel_sight(row: dict[str, Any]) -> str:
    detectable = row["min_detectable_pct"]
    if detectable is None:
        return "."
    if detectable > WEAK_SIGHT_PERCENT:
        return f", but we could hardly have seen one: only {detectable:.0f}% or more would have shown in four of five."
    return f"; {detectable:.0f}% or more would have shown in four samples of five."


def _association(row: dict[str, Any]) -> str:
    outcome = label(row["outcome"])
    size = _more(row, row["pearson_r"], outcome)
    correlation = "" if row["effect"] is not None else f" (correlation {row['pearson_r']:.2f})"
    step = f"A typical step up in {label(row['driver'])}, {_step(row)},"
    return f"{step} goes with {size}{correlation} {_when(row['lag'])}."


def _step(row: dict[str, Any]) -> str:
    """`from a quiet day (2) to a busy one (5)`; most days of a driver may be alike."""
    quiet, busy = (amount(row["driver"], row[name]) for name in ("driver_q1", "driver_q3"))
    if quiet == busy:
        return "from a quiet day to a busy one"
    return f"from a quiet day ({quiet}) to a busy one ({busy})"


def _more(row: dict[str, Any], sign: float, outcome: str) -> str:
    """`17% more commits (95% interval +15% to +19%)`."""
    more = "more" if sign > 0 else "fewer"
    if row["effect_pct"] is not None:
        return f"{abs(row['effect_pct']):.0f}% {more} {outcome}{_interval(row, 'effect_pct', '%')}"
    if row["effect"] is not None:
        return f"{abs(row['effect']):.3g} {more} {outcome}{_interval(row, 'effect', '')}"
    return f"{more} {outcome}"


def _interval(row: dict[str, Any], name: str, unit: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return "" if low is None or high is None else f" (95% interval {low:+.3g}{unit} to {high:+.3g}{unit})"


def _placebo(driver: str, outcome: str, lag: int, *, significant: bool) -> str:
    days = "1 working day" if lag == -1 else f"{-lag} working days"
    if significant:
        return f"Placebo failed: {outcome} go with {driver} {days} later, so something else seems to drive both."
    return f"Placebo passed: {outcome} do not visibly go with {driver} {days} later."


def _when(lag: int) -> str:
    match lag:
        case 0:
            return "on the same day"
        case 1:
            return "1 working day later"
        case _:
            return f"{lag} working days later"
