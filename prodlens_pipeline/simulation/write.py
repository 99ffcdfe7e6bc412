"""A simulated team on disk: the logs, transcripts and repositories of a real team, and its configuration.

Belongs here: which writer writes where. Does not: any format, except `prodlens.yaml`.
"""

from pathlib import Path
from typing import Any

import yaml

from prodlens_pipeline.simulation.claude_transcripts import write_transcripts
from prodlens_pipeline.simulation.conversations import converse
from prodlens_pipeline.simulation.git_history import write_repositories
from prodlens_pipeline.simulation.history import OWNER, deliver
from prodlens_pipeline.simulation.litellm_log import key_alias, write_logs
from prodlens_pipeline.simulation.surveys import ask, write_answers
from prodlens_pipeline.simulation.team import Plan, Team
from prodlens_pipeline.simulation.truth import Truth, truth_of

WRITTEN = ("logs", "claude", "repos", "surveys", "prodlens.yaml", "truth.json")


def write(plan: Plan, folder: Path) -> Truth:
    """Write the sources of a simulated team into `folder`, and return what is true of it.

    The same plan gives the same bytes, and the same git object ids. `folder` gets `logs/litellm/<day>.jsonl`,
    `claude/projects/`, `repos/<name>`, `surveys/pulse.csv`, `prodlens.yaml` with paths relative to itself, and
    `truth.json`.

    Raises:
        FileExistsError: `folder` holds a simulated team already.
        GitError: git is missing or fails.
    """
    taken = [name for name in WRITTEN if (folder / name).exists()]
    if taken:
        raise FileExistsError(f"{folder} already holds {', '.join(taken)}: choose another folder or delete them")
    folder.mkdir(parents=True, exist_ok=True)
    seed = plan.team.seed
    conversations = converse(plan)
    history = deliver(plan)
    write_logs(conversations, seed, folder / "logs" / "litellm")
    write_transcripts(conversations, history, seed, folder / "claude" / "projects")
    write_repositories(plan, history, folder / "repos")
    answers = ask(plan)
    write_answers(answers, folder / "surveys" / "pulse.csv")
    (folder / "prodlens.yaml").write_text(yaml.safe_dump(_configuration(plan.team), sort_keys=False), encoding="utf-8")
    truth = truth_of(plan, conversations, history, answers)
    (folder / "truth.json").write_text(truth.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return truth


def _configuration(team: Team) -> dict[str, Any]:
    """Everyone is mapped; the service key is not, and a developer's second address is left to `.mailmap`."""
    return {
        "team": {"name": "platform", "timezone": "UTC"},
        "start_date": team.start,
        "sources": [
            {"type": "litellm", "path": "logs/litellm/*.jsonl"},
            # simulated edits are in no simulated commit, so there is nothing to compare them with
            {"type": "claude_code", "path": "claude/projects", "capture": "none"},
        ],
        "repositories": [
            {"type": "git", "name": f"{OWNER}/{name}", "path": f"repos/{name}"} for name in team.repository_names
        ],
        "identities": {
            name: [f"{name}@example.com", f"litellm:{key_alias(name)}", f"claude_code:{name}"]
            for name in team.developer_names
        },
        "survey": {"path": "surveys/*.csv"},
        "model_policy": [
            {"repo": f"{OWNER}/{team.repository_names[0]}", "allow": ["claude-sonnet-*", "claude-haiku-*"]}
        ],
    }
