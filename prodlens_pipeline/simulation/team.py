"""The generating model: what each developer of a simulated team does on each day.

Belongs here: the team's configuration, its calendar, and counts per day and developer (sessions, calls,
edits, commits).
Does not: times, tokens, texts or files; the writers of each source format add those without changing a count.

**The model.** Working days are the weekdays that are no public holiday. On day t developer d opens

    s[d,t] ~ Poisson(base[d] * week[t] * adoption[d,t] * present[d,t] * mood[t] * mood[d,t])

sessions. Adoption climbs to 1 over the first weeks; the moods are AR(1) log-normal factors of mean 1, so
counts are overdispersed, remember yesterday and follow the week. What d delivers on the working day that
comes `lag` working days after t, with ``usual[d,t] = base[d] * week[t] * mean over working days of
(adoption[d] * present[d])``, is

    owed[d, t+lag] = base_commits[d] * commit_week[t+lag] * (1 - effect + effect * s[d,t] / usual[d,t])

so expected commits are linear in sessions, with elasticity `effect` at the mean. Work owed by someone who is
absent is picked up by those present: an absence moves the team's commits only through the sessions it
prevents, and with ``effect = 0`` the team's commits carry no trace of its sessions. ``commits ~
Poisson(delivered * own mood)``.
Two ties remain on purpose, as in real teams: a public holiday empties both series on the same day, and an
absent developer has neither sessions nor commits, so developer-level analysis has to leave out the days on
which a developer was away.

**The truth for the team.** One more session, spread over developers as their sessions vary, raises expected
commits by ``effect * sum(share[d] * base_commits[d] / usual[d])``, where ``share[d]`` is d's part of the
variance of the team's sessions. For Poisson counts that part is ``usual[d] / sum(usual)``, so the slope is
``effect * mean commits / mean sessions`` of the team. Moving the team from the lower to the upper quartile of
its daily sessions on working days thus changes its commits by

    effect_pct = 100 * effect * (q3 - q1) / mean
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Counts = NDArray[np.int64]
Reals = NDArray[np.float64]
Flags = NDArray[np.bool_]

NAMES = ("ana", "ben", "chloe", "dai", "emma", "finn", "gita", "hugo")
REPOSITORIES = ("app", "api", "web", "data")

SESSION_WEEK = np.array([0.95, 1.06, 1.10, 1.04, 0.85, 0.03, 0.02])
COMMIT_WEEK = np.array([0.90, 1.05, 1.10, 1.10, 0.85, 0.03, 0.02])
HOLIDAY_SHARE = 0.03
"""Activity of a public holiday relative to an ordinary day."""
DAYS_PER_HOLIDAY = 45
VACATION_PERIOD_DAYS = 90
VACATION_PROBABILITY = 0.7
VACATION_DAYS = (7, 14)
"""Calendar days of one vacation: shortest and longest."""
SICK_PROBABILITY = 0.012
PERSISTENCE = 0.5
TEAM_MOOD = 0.15
DEVELOPER_MOOD = 0.30
DELIVERY_MOOD = 0.15
"""Standard deviations of the logarithm of the AR(1) moods."""


class Team(BaseModel):
    """What is simulated. Everything that follows from it is deterministic: nothing depends on today."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    developers: Annotated[int, Field(ge=1, le=5000)] = 8
    days: Annotated[int, Field(ge=7, le=1500)] = 90
    repositories: Annotated[int, Field(ge=1, le=20)] = 2
    start: date = date(2026, 1, 5)
    effect: Annotated[float, Field(ge=0, le=1)] = 0.6
    """Elasticity of commits in sessions at the mean; 0 is a team whose AI use changes nothing."""
    lag: Annotated[int, Field(ge=0, le=20)] = 1
    """Working days from a session to the commits it helps."""
    seed: Annotated[int, Field(ge=0)] = 0

    @property
    def dates(self) -> list[date]:
        """The simulated days, weekends included."""
        return [self.start + timedelta(days=offset) for offset in range(self.days)]

    @property
    def end(self) -> date:
        """The last simulated day."""
        return self.start + timedelta(days=self.days - 1)

    @property
    def developer_names(self) -> list[str]:
        """ana, ben, ... hugo, then dev9, dev10, ..."""
        return [*NAMES[: self.developers], *(f"dev{n + 1}" for n in range(len(NAMES), self.developers))]

    @property
    def repository_names(self) -> list[str]:
        """Names without the owner: app, api, web, data, then repo5, repo6, ..."""
        shown = REPOSITORIES[: self.repositories]
        return [*shown, *(f"repo{n + 1}" for n in range(len(REPOSITORIES), self.repositories))]


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """One entry per session, ordered by day and developer; every array has the same length."""

    day: Counts
    """Index into the team's dates."""
    developer: Counts
    """Index into the team's developers."""
    calls: Counts
    sidechain_calls: Counts
    """How many of the calls a subagent makes."""
    in_transcript: Flags
    """True: the session leaves a Claude Code transcript. False: it leaves gateway log lines. Never both."""
    accepted_edits: Counts
    rejected_edits: Counts


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Behaviour of every developer on every day. Matrices are (days, developers)."""

    team: Team
    working: Flags
    """(days,): a weekday that is no public holiday."""
    holidays: tuple[date, ...]
    present: Flags
    sessions: Counts
    commits: Counts
    """Commits that are not merges, by the day they are authored."""
    each: Sessions

    def per_day(self, values: Counts) -> Counts:
        """Sum of a per-session array, as (days, developers)."""
        total = np.zeros_like(self.sessions)
        np.add.at(total, (self.each.day, self.each.developer), values)
        return total


def simulate(team: Team) -> Plan:
    """Draw one history of `team`. The same team and seed give the same plan."""
    calendar, behaviour, details = (np.random.default_rng((team.seed, stream)) for stream in range(3))
    weekday = np.array([day.weekday() for day in team.dates])
    holiday = _holidays(calendar, weekday)
    present = _presence(calendar, team)
    working = (weekday < 5) & ~holiday
    open_share = np.where(holiday, HOLIDAY_SHARE, 1.0)[:, None]

    base = behaviour.uniform(4.4, 6.4, team.developers)
    rhythm = base * SESSION_WEEK[weekday][:, None]
    availability = _adoption(behaviour, team) * present
    mood = _mood(behaviour, (team.days, 1), TEAM_MOOD) * _mood(behaviour, (team.days, team.developers), DEVELOPER_MOOD)
    sessions = behaviour.poisson(rhythm * availability * open_share * mood)

    base_commits = behaviour.uniform(3.0, 5.0, team.developers)
    usual = rhythm * availability[working].mean(axis=0)
    use = np.divide(sessions, usual, out=np.ones_like(usual), where=usual > 0)
    owed = base_commits * COMMIT_WEEK[weekday][:, None] * open_share * _response(team, working, use)
    delivered = _covered(owed, present, base_commits)
    commits = behaviour.poisson(delivered * _mood(behaviour, (team.days, team.developers), DELIVERY_MOOD))

    return Plan(
        team=team,
        working=working,
        holidays=tuple(day for day, closed in zip(team.dates, holiday, strict=True) if closed),
        present=present,
        sessions=sessions,
        commits=commits,
        each=_each_session(details, sessions),
    )


def session_quartiles(plan: Plan) -> tuple[float, float, float]:
    """Lower quartile, upper quartile and mean of the team's daily sessions on working days."""
    daily = plan.sessions.sum(axis=1)[plan.working]
    lower, upper = np.quantile(daily, [0.25, 0.75])
    return float(lower), float(upper), float(daily.mean())


def effect_pct(plan: Plan) -> float | None:
    """True change of the team's commits, in %, for one interquartile range of its sessions on working days.

    The derivation is in the module's docstring. None where the team had no session on any working day.
    """
    lower, upper, mean = session_quartiles(plan)
    return 100 * plan.team.effect * (upper - lower) / mean if mean else None


def _holidays(rng: np.random.Generator, weekday: NDArray[np.int64]) -> Flags:
    """Public holidays on random weekdays, about one in 45 days, for the whole team."""
    holiday = np.zeros(len(weekday), dtype=bool)
    holiday[rng.choice(np.flatnonzero(weekday < 5), round(len(weekday) / DAYS_PER_HOLIDAY), replace=False)] = True
    return holiday


def _presence(rng: np.random.Generator, team: Team) -> Flags:
    """(days, developers): False on sick days and during vacations."""
    present = rng.random((team.days, team.developers)) >= SICK_PROBABILITY
    for developer in range(team.developers):
        for period in range(0, team.days, VACATION_PERIOD_DAYS):
            length = int(rng.integers(VACATION_DAYS[0], VACATION_DAYS[1], endpoint=True))
            first = period + int(rng.integers(VACATION_PERIOD_DAYS - length))
            if rng.random() < VACATION_PROBABILITY:
                present[first : first + length, developer] = False
    return present


def _adoption(rng: np.random.Generator, team: Team) -> Reals:
    """(days, developers): a linear climb to 1 over the first two to five weeks."""
    first = rng.uniform(0.45, 0.75, team.developers)
    weeks = rng.uniform(2, 5, team.developers)
    climb = np.arange(team.days)[:, None] / (7 * weeks)
    return np.minimum(1.0, first + (1 - first) * climb)


def _mood(rng: np.random.Generator, shape: tuple[int, int], deviation: float) -> Reals:
    """Stationary AR(1) along the days, as a log-normal factor whose mean is 1."""
    noise = rng.normal(0.0, deviation, shape)
    noise[1:] *= np.sqrt(1 - PERSISTENCE**2)
    for day in range(1, shape[0]):
        noise[day] += PERSISTENCE * noise[day - 1]
    return np.exp(noise - deviation**2 / 2)


def _response(team: Team, working: Flags, use: Reals) -> Reals:
    """(days, developers): how AI use of `lag` working days ago scales delivery; 1 where there is no such day.

    `use` is sessions relative to what is usual for this developer on this weekday.
    """
    response = np.ones_like(use)
    days = np.flatnonzero(working)
    driven = days[team.lag :]
    response[driven] = 1 - team.effect + team.effect * use[days[: len(driven)]]
    return response


def _covered(owed: Reals, present: Flags, base_commits: Reals) -> Reals:
    """What is delivered: the work of the absent is shared among those present by their usual output."""
    shares = present * base_commits
    total = shares.sum(axis=1, keepdims=True)
    left = (owed * ~present).sum(axis=1, keepdims=True)
    part = np.divide(shares, total, out=np.zeros_like(shares), where=total > 0)
    delivered: Reals = owed * present + left * part
    return delivered


def _each_session(rng: np.random.Generator, sessions: Counts) -> Sessions:
    """Calls, channel and edits of every session. Edits exist in transcripts only: a gateway log has none."""
    cells = np.repeat(np.arange(sessions.size), sessions.ravel())
    day, developer = np.divmod(cells, sessions.shape[1])
    count = len(day)
    calls = rng.integers(4, 9, count)
    transcript_share = np.asarray(rng.uniform(0.3, 0.6, sessions.shape[1]))
    in_transcript = rng.random(count) < transcript_share[developer]
    with_subagent = in_transcript & (calls >= 6) & (rng.random(count) < 0.15)
    sidechain_calls = np.where(with_subagent, rng.integers(2, 4, count), 0)
    # A conversation ends with words, not with an edit, and the call that starts a subagent edits nothing.
    room = np.where(in_transcript, calls - sidechain_calls - 1 - with_subagent, 0)
    edits = rng.binomial(room, 0.5)
    accepted = rng.binomial(edits, 0.8)
    return Sessions(day, developer, calls, sidechain_calls, in_transcript, accepted, edits - accepted)
