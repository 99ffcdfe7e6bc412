"""What is left of a daily series once its week, its trend and its memory are taken out.

Belongs here: the model of a single series and its innovations.
Does not: anything about two series. No series is adjusted with an eye on another one, or the adjustment would
produce (or remove) the very association that is asked about.

**The model** of a series on its scale of comparison, on working days t, is a structural time series (Harvey 1989):

    y[t] = day of week + fortnight + month + line + slow cosines + interventions + level[t] + u[t]

- *level* is a random walk and *u* a stationary AR(1). Innovations are what the Kalman filter could not predict from
  the days before, which is AR(1) prewhitening when the level stands still. The moving level is what makes the filter
  forget a level shift or a ramp within days; for a series without one it costs next to nothing.
- *Fortnight* and *month* (a cosine and a sine each: sprints, closing of accounts) are taken out where they stand out of
  the whitened series, and where the sample is long enough to tell: three fortnights (`FREE_OF_FORTNIGHT` days), two
  months (`FREE_OF_MONTH`). A series without such a cycle does not pay for it with degrees of freedom. One that is
  missed does little harm: a common cycle is gone from a correlation when it is taken out of one of the two series.
- *Slow cosines* (the first ones of the discrete cosine transform: seasons, adoption curves) appear when the sample can
  afford them: one more per `DAYS_PER_COSINE` beyond `FREE_OF_COSINES`. Where it affords none, a bend (one period of a
  cosine) is taken out where it stands out.
- *Interventions* are single days, level shifts, and passing ones of a week or two (somebody is away), that stand out
  of the whitened series (Box & Tiao 1975; found one by one like Chang, Tiao & Chen 1988, with a Bonferroni bound over
  all candidates). The bound is strict: what is taken out by chance is information lost. What one series does not
  show clearly, two may, see `Adjusted.events`.

Rhythm, trend and interventions are fitted by generalised least squares, i.e. in the whitened space.
The AR coefficient is the posterior mean over a grid by the *restricted* likelihood (Patterson & Thompson 1971): it
allows for the fitted regression, which is the bias correction that small samples need (an AR coefficient estimated
from plain residuals is too small, and then false associations remain). The mobility of the level is given, not
estimated: a likelihood is slow to see a shift that is already large enough to correlate two series.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Integers = NDArray[np.int64]
Dates = NDArray[np.datetime64]

PERSISTENCE = (-0.4, -0.2, -0.05, 0.1, 0.25, 0.4, 0.55, 0.65, 0.75, 0.85, 0.92, 0.97)
"""Candidates for the AR(1) coefficient."""
MOBILITY = 60.0
"""Variance that the level gathers over the whole sample, in variances of u."""
FREE_OF_FORTNIGHT = 30
FREE_OF_MONTH = 40
DAYS_OF_A_MONTH = 365.25 / 12
FALSE_WAVES = 0.01
"""Chance to find a fortnight, a month or a bend in a series that has none: for each of them."""
FREE_OF_COSINES = 60
DAYS_PER_COSINE = 8
MINIMUM_FREEDOM = 4
"""Days that must be left over after the regression."""
DAYS_PER_INTERVENTION = 20
PATCHES = (5, 10)
"""Working days that a passing change of the level lasts: a week, or two, in which somebody is away."""
FALSE_INTERVENTIONS = 0.002
"""Chance to find at least one intervention in a series that has none (an upper bound)."""
NO_VARIATION = 1e-9
"""What is left of a series is rounding error below this share of its largest value."""


@dataclass(frozen=True, slots=True)
class Noise:
    """What the days of one series remember, in variances of u."""

    persistence: float
    drift: float
    """Variance that the level gathers per day."""


@dataclass(frozen=True, slots=True, eq=False)
class Adjusted:
    """One series without its regression. Days without a value are NaN, and all are if nothing varies."""

    innovations: Reals
    """(days,): what no earlier day told, of equal variance."""
    remainder: Reals
    """(days,): level and memory, on the series' scale; the whitened remainder is the innovations."""
    noise: Noise
    unit: float
    """Size of an innovation of 1 on the series' scale, for a day whose day before is known."""
    kept: float
    """Share of the observed days' degrees of freedom that the regression left; 0 or less: it took all."""
    events: Reals
    """(kinds x days,): correlation of the innovations with each intervention that could have begun on that day, kind by
    kind; 0 where none could. Nothing of those that were taken out is left."""


def adjust(values: Reals, days: Dates) -> Adjusted:
    """Take rhythm, trend and memory out of `values` (days,) on consecutive working days; NaN is unknown.

    There is one innovation per observed day, the first day and the day after a gap included; it depends on the
    same day and on earlier ones only (up to the fitted regression).
    """
    nothing = np.full(len(values), np.nan)
    nowhere = Adjusted(nothing, nothing, Noise(0.0, 0.0), 1.0, 0.0, _by_day(np.empty(0), np.empty(0, int), len(values)))
    observed = np.flatnonzero(~np.isnan(values))
    if len(observed) <= MINIMUM_FREEDOM:
        return nowhere
    series = values[observed]
    largest = float(np.abs(series).max()) or 1.0
    design = _design(tuple(observed.tolist()), tuple(days[observed].astype("datetime64[D]").astype(int).tolist()))
    residual = series / largest - design.basis @ (design.basis.T @ (series / largest))
    deviation = float(np.sqrt((residual**2).mean()))
    if deviation <= NO_VARIATION:
        return nowhere

    noises, deviance = deviances(residual / deviation, design.basis, observed, (MOBILITY,))
    noise = _mean(noises, deviance)
    columns, variances = whiten(np.eye(len(observed)), observed, [noise])
    whitener = columns[:, 0]
    white, lost, standing = _regress_out(whitener, residual / deviation, design, _most_interventions(series))
    if np.sqrt((white**2).mean()) <= NO_VARIATION:
        return nowhere
    innovations, remainder = nothing.copy(), nothing.copy()
    innovations[observed] = white
    remainder[observed] = scipy.linalg.solve_triangular(whitener, white, lower=True) * deviation * largest
    unit = float(_one_step(variances)[0]) * deviation * largest
    kept = 1 - max(lost, design.wanted) / len(observed)
    return Adjusted(innovations, remainder, noise, unit, kept, _by_day(standing, observed, len(values)))


def _mean(candidates: Sequence[Noise], deviance: Reals) -> Noise:
    """The candidate whose AR coefficient is the posterior mean, where all coefficients were equally likely before."""
    persistence = np.array([one.persistence for one in candidates])
    weight = np.exp((deviance.min() - deviance) / 2) * np.gradient(persistence)
    # Rounded, for the filters of equal candidates are computed once.
    return Noise(round(float(weight @ persistence / weight.sum()), 2), candidates[0].drift)


def transfer(driver: Adjusted, outcomes: Sequence[Adjusted]) -> Reals:
    """(outcomes,): what a driver's innovation of 1 becomes in the filter of each outcome; 1 if the filters agree.

    An outcome that responds to the driver responds to all of it, so its own filter has passed over the driver too.
    Dividing a slope between innovations by this makes it the response of the outcome to the driver, whatever the
    two filters are: the driver's innovations are the instrument for the driver as the outcome's filter leaves it.
    """
    observed = np.flatnonzero(~np.isnan(driver.innovations))
    if not len(observed):
        return np.full(len(outcomes), np.nan)
    innovations = driver.innovations[observed]
    passed, variances = whiten(driver.remainder[observed, None], observed, [one.noise for one in outcomes])
    scaled = passed[:, :, 0] * _one_step(variances) / driver.unit
    return np.asarray(innovations @ scaled / (innovations @ innovations), dtype=np.float64)


def _one_step(variances: Reals) -> Reals:
    """Per candidate, the deviation of a one-step prediction: the smallest, as gaps and the start enlarge it."""
    return np.asarray(np.sqrt(variances.min(axis=0)), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Design:
    """The regressors of a series."""

    basis: Reals
    """(days, regressors): orthonormal, of the rhythm and trend that every series is cleared of."""
    wanted: int
    """How many regressors that would be if the sample could carry them all."""
    waves: tuple[Reals, ...]
    """(days, waves) each, orthogonal to `basis`: what is taken out where it shows."""


@lru_cache(maxsize=16)
def _design(position: tuple[int, ...], calendar_days: tuple[int, ...]) -> _Design:
    """Rhythm and trend, the same for all series known on the same days, as those of a table mostly are: so cached.

    `position` counts working days, `calendar_days` days since 1970.

    Fewer than ten days cannot carry a day of week: then the basis is the line alone, and the wanted dimension is
    larger. Counting that many degrees of freedom as lost keeps such samples from claiming what may be their week.
    """
    count = len(position)
    time = (np.array(position) - position[0] + 0.5) / (position[-1] - position[0] + 1)
    line = [np.ones(count), time]
    calendar = np.array(calendar_days)
    week = [(calendar % 7 == day).astype(np.float64) for day in range(7)]
    cosines = max(count - FREE_OF_COSINES, 0) // DAYS_PER_COSINE
    slow = [np.cos(np.pi * k * time) for k in range(1, cosines + 1)]
    full = _orthonormal(np.column_stack(line + week + slow))
    wanted = full.shape[1]
    basis = full if wanted + MINIMUM_FREEDOM <= count else _orthonormal(np.column_stack(line))
    waves = []
    for length, free in ((14, FREE_OF_FORTNIGHT), (DAYS_OF_A_MONTH, FREE_OF_MONTH)):
        if count > free:
            angle = 2 * np.pi * calendar / length
            waves.append(np.column_stack([np.cos(angle), np.sin(angle)]))
    if basis is full and not cosines:
        waves.append(np.cos(2 * np.pi * time)[:, None])
    apart = (_orthonormal(wave - basis @ (basis.T @ wave), smallest=1e-6) for wave in waves)
    return _Design(basis, wanted, tuple(apart))


def _orthonormal(columns: Reals, smallest: float = 0.0) -> Reals:
    """Orthonormal basis of the columns' span; a weekday without a value adds no dimension.

    Directions in which the columns together are no longer than `smallest` are rounding errors.
    """
    basis, size, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(basis[:, size > max(1e-9 * size[0], smallest)], dtype=np.float64)


def deviances(
    series: Reals, design: Reals, position: Integers, mobilities: Sequence[float]
) -> tuple[list[Noise], Reals]:
    """All candidates, and -2 log of the restricted likelihood of each, up to a constant."""
    span = int(position[-1] - position[0]) + 1
    candidates = [Noise(persistence, mobility / span) for persistence in PERSISTENCE for mobility in mobilities]
    white, variances = whiten(np.column_stack([design, series]), position, candidates)
    by_candidate = white.transpose(1, 0, 2)
    triangle = np.linalg.cholesky(by_candidate.transpose(0, 2, 1) @ by_candidate)
    pivots = np.log(np.diagonal(triangle, axis1=1, axis2=2))
    freedom = len(series) - design.shape[1]
    deviance = (
        2 * freedom * pivots[:, -1]  # the residual sum of squares
        + np.log(variances).sum(axis=0)
        + 2 * pivots[:, :-1].sum(axis=1)  # what the restriction adds: log |X' V⁻¹ X|
    )
    return candidates, deviance


def whiten(columns: Reals, position: Integers, candidates: Sequence[Noise]) -> tuple[Reals, Reals]:
    """Kalman filter of level + AR(1) over `columns` (days, columns), for several candidates at once.

    `position` counts working days: a gap in it is a stretch of unknown days. Returns the standardised one-step
    prediction errors (days, candidates, columns) and their variances (days, candidates), in variances of u.
    It is the same linear map for every column: multiplying by the inverse Cholesky factor of the covariance.
    """
    gaps = np.diff(position, prepend=position[0] - 1)
    gains = _gains(tuple(gaps.tolist()), tuple(candidates))
    memory = np.zeros((len(candidates), columns.shape[1]))
    level = np.zeros_like(memory)
    errors = np.empty((len(columns), *memory.shape))
    for day, column in enumerate(columns):
        memory *= gains.decay[day]
        error = column - memory - level
        memory += gains.to_memory[day] * error
        level += gains.to_level[day] * error
        errors[day] = error
    return errors / np.sqrt(gains.variance), gains.variance[:, :, 0]


@dataclass(frozen=True, slots=True, eq=False)
class _Gains:
    """What a Kalman filter does on each day, whatever the values are: (days, candidates, 1)."""

    decay: Reals
    to_memory: Reals
    to_level: Reals
    variance: Reals


@lru_cache(maxsize=16)
def _gains(gaps: tuple[int, ...], candidates: tuple[Noise, ...]) -> _Gains:
    """The filter's gains. Cached: the series of a table are mostly known on the same days."""
    persistence = np.array([noise.persistence for noise in candidates])
    drift = np.array([noise.drift for noise in candidates])
    memory, covariance, level = np.ones_like(drift), np.zeros_like(drift), np.zeros_like(drift)
    table = np.empty((4, len(gaps), len(candidates), 1))
    for day, gap in enumerate(gaps):
        decay = persistence**gap
        memory = decay**2 * memory + 1 - decay**2
        covariance = decay * covariance
        level = level + drift * gap
        variance = memory + 2 * covariance + level
        to_memory = (memory + covariance) / variance
        to_level = (covariance + level) / variance
        memory = memory - to_memory**2 * variance
        covariance = covariance - to_memory * to_level * variance
        level = level - to_level**2 * variance
        table[:, day, :, 0] = decay, to_memory, to_level, variance
    table.flags.writeable = False
    return _Gains(*table)


def _most_interventions(series: Reals) -> int:
    """How many may be taken out: none where most days are alike, for there the other days are the information."""
    lower, upper = np.quantile(series, [0.25, 0.75])
    return 1 + len(series) // DAYS_PER_INTERVENTION if upper > lower else 0


def _regress_out(whitener: Reals, series: Reals, design: _Design, most: int) -> tuple[Reals, int, Reals]:
    """Whitened series without regression and interventions, how many dimensions were lost to them, and `_standing`."""
    days = len(series)
    basis, _ = np.linalg.qr(whitener @ design.basis)
    residual = whitener @ series
    residual = residual - basis @ (basis.T @ residual)
    for wave in design.waves:
        white = whitener @ wave
        directions, _ = np.linalg.qr(white - basis @ (basis.T @ white))
        if _shows(directions, residual, days - basis.shape[1]):
            residual = residual - directions @ (directions.T @ residual)
            basis = np.column_stack([basis, directions])
    candidates = _interventions(whitener)
    candidates -= basis @ (basis.T @ candidates)

    lost = basis.shape[1]
    standing = _standing(candidates, residual) if most else np.zeros(candidates.shape[1])
    for _ in range(most):
        freedom = days - lost - 1
        if freedom < MINIMUM_FREEDOM:
            break
        best = int(np.abs(standing).argmax())
        share = standing[best] ** 2
        threshold = -scipy.special.stdtrit(freedom, FALSE_INTERVENTIONS / 2 / len(standing))
        # The squared t of a regressor is freedom * share / (1 - share). One that explains all is no exception.
        if freedom * share <= threshold**2 * (1 - share) or share > 1 - NO_VARIATION:
            break
        direction = candidates[:, best] / np.sqrt((candidates[:, best] ** 2).sum())
        residual = residual - direction * (direction @ residual)
        candidates = candidates - np.outer(direction, direction @ candidates)
        standing = _standing(candidates, residual)
        lost += 1
    return residual, lost, standing


def _interventions(whitener: Reals) -> Reals:
    """(days, candidates): single days, level shifts and passing ones, whitened."""
    shifts = np.cumsum(whitener[:, ::-1], axis=1)[:, -2:0:-1]
    return np.concatenate([whitener, shifts, *(shifts[:, :-days] - shifts[:, days:] for days in PATCHES)], axis=1)


def _by_day(standing: Reals, observed: Integers, days: int) -> Reals:
    """Figures of all `_interventions`, laid on the days on which they begin: (kinds x days,)."""
    inner = observed[1:-1]
    table = np.zeros((2 + len(PATCHES), days))
    begins = [observed, inner, *(inner[:-length] for length in PATCHES)]
    split = np.split(standing, np.cumsum([len(one) for one in begins])[:-1])
    for row, begin, figures in zip(table, begins, split, strict=True):
        row[begin] = figures
    return table.ravel()


def _standing(candidates: Reals, residual: Reals) -> Reals:
    """Correlation of each candidate with the residual; 0 for one that the regression explains."""
    length = np.sqrt((candidates**2).sum(axis=0))
    usable = length > 1e-6
    standing: Reals = np.zeros_like(length)
    standing[usable] = (residual @ candidates[:, usable]) / (length[usable] * np.sqrt(residual @ residual))
    return standing


def _shows(directions: Reals, residual: Reals, freedom: int) -> bool:
    """Whether a wave explains more of a whitened series than chance would: the F-test, by the share explained."""
    size = directions.shape[1]
    share = ((directions.T @ residual) ** 2).sum() / (residual @ residual)
    return bool(size) and scipy.special.betainc((freedom - size) / 2, size / 2, max(1 - share, 0.0)) < FALSE_WAVES
