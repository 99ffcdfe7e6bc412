"""The survey of a simulated team: who can answer, what the file holds, and that its truth is true."""

import csv
from collections import Counter
from datetime import datetime
from pathlib import Path

from prodlens_pipeline.simulation.surveys import ask, net_promoter_score, write_answers
from prodlens_pipeline.simulation.team import Team, simulate

TEAM = Team(developers=8, days=60, seed=11)


def test_developers_answer_on_fridays_on_which_they_are_there(tmp_path: Path) -> None:
    plan = simulate(TEAM)
    answers = ask(plan)
    write_answers(answers, tmp_path / "surveys" / "pulse.csv")
    with (tmp_path / "surveys" / "pulse.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(answers) > 20
    for row in rows:
        at = datetime.fromisoformat(row["answered_at"])
        place = TEAM.dates.index(at.date())
        assert at.weekday() == 4 and plan.working[place] and place // 7 % 2 == 0
        assert plan.present[place, TEAM.developer_names.index(row["developer"])]
        assert 0 <= int(row["nps"]) <= 10 and 1 <= int(row["satisfaction"]) <= 5
    assert max(Counter((row["survey"], row["developer"]) for row in rows).values()) == 1
    last = {row["developer"]: int(row["nps"]) for row in sorted(rows, key=lambda row: row["answered_at"])}
    liked, disliked = sum(nps > 8 for nps in last.values()), sum(nps < 7 for nps in last.values())
    assert net_promoter_score(answers) == 100 * (liked - disliked) / len(last)


def test_answers_depend_on_the_team_and_not_on_what_its_ai_use_does() -> None:
    assert ask(simulate(TEAM)) == ask(simulate(TEAM))
    assert ask(simulate(TEAM.model_copy(update={"effect": 0.0}))) == ask(simulate(TEAM))
    assert net_promoter_score([]) is None
