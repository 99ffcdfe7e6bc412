"""Do developers deliver more after days on which they, rather than the others, used more AI? The panel's table.

Belongs here: developers' days as arrays, families of hypotheses, placebos, statuses and effects of the panel.
Does not: the formulas (`panel`), the wording (`readings`), reading or storing tables.

Each developer is compared with the same developer on other days and with the others on the same day, so neither who
they are nor what happens to the whole team on a day can produce an association. How it was checked is in
`docs/statistics.md`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prodlens_pipeline.analysis.multiplicity import q_values
from prodlens_pipeline.analysis.panel import (
    LEVEL,
    Flags,
    Reals,
    absent,
    exchanged_p_value,
    innovations,
    slopes,
)
from prodlens_pipeline.analysis.readings import Status, read_panel
from prodlens_pipeline.analysis.scales import Scale, quartiles

MINIMUM_DEVELOPERS = 5
MINIMUM_DAYS = 20
"""Working days on which a developer must be known to take part."""
LOW_SAMPLE_DEVELOPERS = 10
"""From so many developers on, a panel is not flagged as low."""
EXCHANGES = 199

PANEL_COLUMNS = (
    *("driver", "outcome", "lag", "is_placebo", "developers", "developer_days", "slope", "p_value", "q_value"),
    *("driver_q1", "driver_q3"),
    *("effect", "effect_low", "effect_high", "effect_pct", "effect_pct_low", "effect_pct_high"),
    *("min_detectable_pct", "exchanged_p_value", "status", "reading"),
)
_FIGURES = ("developers", "developer_days", "slope", "low", "high", "detectable", "p_value")


def panel_family(
    frame: pl.DataFrame, *, drivers: Sequence[str], outcomes: Sequence[str], max_lag: int = 7, seed: int = 0
) -> pl.DataFrame:
    """Slope of every outcome on every driver at the lags -`max_lag`..`max_lag`: rows of `PANEL_COLUMNS`.

    `frame` has one row per `developer_id` and `day`, and the columns of `drivers` and `outcomes`. From a developer's
    first row to the last, a day without a row is 0; NULL is unknown. Weekends, days on which nobody did anything and
    absences are left out; lags are working days from driver to outcome, negative ones are placebos. Days on which a
    developer used no AI at all count as outcomes only: who is away has neither use nor delivery, which ties them.

    `q_value` is Benjamini-Hochberg over all claims (lag >= 0), or over all placebos, of the table. `effect` is for
    one interquartile range of the driver within a typical developer, in the outcome's unit per developer and day,
    and `effect_pct` in % of its mean; `driver_q1` and `driver_q3` are the quartiles of that developer's days. Of
    significant claims, `exchanged_p_value` says how often the use of other developers does as well. `seed` decides
    which exchanges are drawn.

    Raises:
        ValueError: a developer has two rows of one day.
    """
    panel = Panel.of(frame, drivers, outcomes)
    lags = range(-max_lag, max_lag + 1)
    claims = len(drivers) * len(outcomes) * (max_lag + 1)
    by_lag = [panel.at_lag(lag, claims) for lag in lags]
    figures = {name: np.stack([one[name] for one in by_lag], axis=-1) for name in by_lag[0]}
    shape = figures["slope"].shape
    placebo = np.broadcast_to(np.array(lags) < 0, shape)
    figures["q_value"] = q_values(figures["p_value"], placebo)
    exchanged = np.full(shape, np.nan)
    for driver, outcome, place in np.argwhere((figures["q_value"] < LEVEL) & ~placebo):
        exchanged[driver, outcome, place] = panel.exchanged(driver, outcome, lags[place], seed)
    table = pl.DataFrame(
        {
            "driver": [name for name in drivers for _ in range(len(outcomes) * len(lags))],
            "outcome": [name for _ in drivers for name in outcomes for _ in lags],
            "lag": np.tile(np.array(lags), len(drivers) * len(outcomes)),
            "is_placebo": placebo.ravel(),
            **{name: figures[name].astype(np.int64).ravel() for name in ("developers", "developer_days")},
            **{name: figures[name].ravel() for name in ("slope", "p_value", "q_value")},
            "driver_q1": np.repeat(panel.quartiles[:, 0], len(outcomes) * len(lags)),
            "driver_q3": np.repeat(panel.quartiles[:, 1], len(outcomes) * len(lags)),
            **{name: figure.ravel() for name, figure in panel.effects(figures).items()},
            "exchanged_p_value": exchanged.ravel(),
            "status": _statuses(figures, exchanged, placebo).ravel(),
        },
        schema_overrides={"driver": pl.String, "outcome": pl.String, "status": pl.String},
    ).with_columns(pl.selectors.float().fill_nan(None))
    readings = [read_panel(row) for row in table.iter_rows(named=True)]
    return table.with_columns(pl.Series("reading", readings, dtype=pl.String)).select(PANEL_COLUMNS)


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Drivers and outcomes of all developers on working days; innovations are (series, developers, days)."""

    driver: Reals
    outcome: Reals
    steps: Reals
    """(drivers,): a typical change of each driver on its scale; NaN if no change is typical."""
    quartiles: Reals
    """(drivers, 2): each driver on a quiet day and on a busy one of a typical developer; NaN if nobody is typical."""
    scales: Sequence[Scale]
    """Of the outcomes."""

    @staticmethod
    def of(frame: pl.DataFrame, drivers: Sequence[str], outcomes: Sequence[str]) -> "Panel":
        """Lay the rows on working days, leave absences out, and take effects and memory out of every series."""
        days, values = _arrays(frame, [*drivers, *outcomes])
        middle = len(drivers)
        known, active = ~np.isnan(values), np.nan_to_num(values) != 0
        used = _anywhere(active[:middle])
        away = absent(used, _anywhere(active[middle:]), _anywhere(known))
        values = np.where(away, np.nan, values)
        # A day without AI may be a day without work: only the days with AI tell more use from less.
        values[:middle] = np.where(used, values[:middle], np.nan)
        scales = [Scale.of(one) for one in values]
        scaled = [scale.transform(one) for scale, one in zip(scales, values, strict=True)]
        weekday = (days.astype("datetime64[D]").astype(np.int64) + 3) % 7
        found = np.stack([innovations(one, weekday) for one in scaled])
        steps = np.array([_typical_step(one) for one in scaled[:middle]])
        usual = np.array([_typical_quartiles(one) for one in values[:middle]])
        return Panel(found[:middle], found[middle:], steps, usual, scales[middle:])

    def at_lag(self, lag: int, claims: int) -> dict[str, Reals]:
        """Figures (drivers, outcomes) of one lag, from series that are known in the same cells at once."""
        driver, outcome = _shifted(self.driver, self.outcome, lag)
        figures = {name: np.full((len(driver), len(outcome)), np.nan) for name in _FIGURES}
        for these, used in _alike(driver):
            for those, made in _alike(outcome):
                known = _taking_part(used & made)
                cells = np.ix_(these, those)
                figures["developers"][cells] = known.any(axis=1).sum()
                figures["developer_days"][cells] = known.sum()
                if known.any(axis=1).sum() < MINIMUM_DEVELOPERS:
                    continue
                found = slopes(np.where(known, driver[these], np.nan), np.where(known, outcome[those], np.nan))
                figures["slope"][cells] = found.slope
                figures["low"][cells] = found.slope - found.half_width
                figures["high"][cells] = found.slope + found.half_width
                figures["detectable"][cells] = found.detectable(claims)
                figures["p_value"][cells] = found.p_value
        return figures

    def exchanged(self, driver: int, outcome: int, lag: int, seed: int) -> float:
        """The permutation p of one row."""
        used, made = _shifted(self.driver[[driver]], self.outcome[[outcome]], lag)
        known = _taking_part(~(np.isnan(used[0]) | np.isnan(made[0])))
        rows = known.any(axis=1)
        return exchanged_p_value(
            np.where(known, used[0], np.nan)[rows], np.where(known, made[0], np.nan)[rows], EXCHANGES, seed
        )

    def effects(self, figures: dict[str, Reals]) -> dict[str, Reals]:
        """Change of each outcome for a typical step of each driver: in its unit, and in % of its mean."""
        found = {}
        with np.errstate(over="ignore", invalid="ignore"):
            for name, suffix in (("slope", ""), ("low", "_low"), ("high", "_high"), ("detectable", "_detectable")):
                change = figures[name] * self.steps[:, None, None]
                effect, percent = np.full_like(change, np.nan), np.full_like(change, np.nan)
                for place, scale in enumerate(self.scales):
                    effect[:, place] = scale.in_own_unit(change[:, place])
                    percent[:, place] = scale.in_percent(effect[:, place])
                found[f"effect{suffix}"] = np.where(np.isfinite(effect), effect, np.nan)
                found[f"effect_pct{suffix}"] = np.where(np.isfinite(percent), percent, np.nan)
        found["min_detectable_pct"] = found.pop("effect_pct_detectable")
        del found["effect_detectable"]
        return found


def _arrays(frame: pl.DataFrame, names: Sequence[str]) -> tuple[NDArray[np.datetime64], Reals]:
    """Working days, and values (series, developers, days): 0 where nothing was done, NaN where nothing is known."""
    if frame.select(pl.struct("developer_id", "day").is_duplicated().any()).item():
        raise ValueError("a developer has more than one row of a day; aggregate them first")
    dated = frame["day"].to_numpy().astype("datetime64[D]")
    developers, row = np.unique(frame["developer_id"].to_numpy(), return_inverse=True)
    calendar = np.arange(dated.min(), dated.max() + 1) if len(dated) else dated
    values = np.full((len(names), len(developers), len(calendar)), np.nan)
    column = (dated - calendar[0]).astype(np.int64) if len(dated) else row
    for developer in range(len(developers)):
        mine = column[row == developer]
        values[:, developer, mine.min() : mine.max() + 1] = 0.0
    for place, name in enumerate(names):
        values[place, row, column] = frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
    worked = (np.nan_to_num(values, nan=1.0) != 0) & ~np.isnan(values).all(axis=0)
    kept = np.is_busday(calendar) & worked.any(axis=(0, 1)) if len(dated) else np.zeros(0, dtype=np.bool_)
    return calendar[kept], values[..., kept]


def _anywhere(flags: Flags) -> Flags:
    """Where any series of a stack is true: (developers, days)."""
    return np.asarray(flags.any(axis=0), dtype=np.bool_)


def _typical_step(scaled: Reals) -> float:
    """Median over developers of the interquartile range of their own days; NaN if it is 0."""
    own = _own_quartiles(scaled)
    step = float(np.median(own[:, 1] - own[:, 0])) if len(own) else 0.0
    return step if step > 0 else float("nan")


def _typical_quartiles(values: Reals) -> Reals:
    """Medians over developers of the quartiles of their own days; NaN if nobody has enough days."""
    own = _own_quartiles(values)
    return np.asarray(np.median(own, axis=0)) if len(own) else np.full(2, np.nan)


def _own_quartiles(values: Reals) -> Reals:
    """(developers with enough days, 2)"""
    enough = (~np.isnan(values)).sum(axis=1) >= MINIMUM_DAYS
    return np.array([quartiles(days) for days in values[enough]]).reshape(-1, 2)


def _shifted(driver: Reals, outcome: Reals, lag: int) -> tuple[Reals, Reals]:
    """Driver and outcome so that a column holds a day and the day that is `lag` working days later."""
    count = max(driver.shape[-1] - abs(lag), 0)
    return driver[..., max(-lag, 0) :][..., :count], outcome[..., max(lag, 0) :][..., :count]


def _taking_part(known: Flags) -> Flags:
    """The known cells of developers who have enough of them."""
    return np.asarray(known & (known.sum(axis=1, keepdims=True) >= MINIMUM_DAYS), dtype=np.bool_)


def _alike(stack: Reals) -> Iterator[tuple[list[int], Flags]]:
    """Which series of a stack are known in the same cells, and in which."""
    groups: dict[bytes, list[int]] = {}
    for place, one in enumerate(stack):
        groups.setdefault(np.isnan(one).tobytes(), []).append(place)
    for places in groups.values():
        yield places, ~np.isnan(stack[places[0]])


def _statuses(figures: dict[str, Reals], exchanged: Reals, placebo: Flags) -> NDArray[np.object_]:
    """The `Status` of every (driver, outcome, lag)."""
    failed = (placebo & (figures["q_value"] < LEVEL)) | (exchanged >= LEVEL)
    refuted = np.broadcast_to(failed.any(axis=-1, keepdims=True), placebo.shape)
    cases = (
        (figures["developers"] < MINIMUM_DEVELOPERS, Status.NOT_ENOUGH_DATA),
        (np.isnan(figures["p_value"]), Status.NO_VARIATION),
        (refuted & ~placebo, Status.WITHHELD),
        (figures["developers"] < LOW_SAMPLE_DEVELOPERS, Status.LOW_SAMPLE),
    )
    words = [np.array(status.value, dtype=object) for _, status in cases]
    return np.select([case for case, _ in cases], words, np.array(Status.OK.value, dtype=object))
