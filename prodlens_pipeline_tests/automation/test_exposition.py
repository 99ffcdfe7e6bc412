import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from prodlens_pipeline.automation.exposition import Family, exposition, families
from prodlens_pipeline_tests.automation.small import span
from prodlens_pipeline_tests.automation.test_sensors import collected
from prodlens_pipeline_tests.delivery.github.conftest import served
from prodlens_pipeline_tests.delivery.github.fake import Hub
from prodlens_pipeline_tests.delivery.github.project import HASTE, NAME, collect, settings_of

DASHBOARD = Path(__file__).resolve().parents[2] / "docs" / "dashboards" / "grafana.json"
SAMPLE = re.compile(r'(\w+)\{((?:\w+="(?:[^"\\]|\\.)*",?)*)\} (\S+)')


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A GitHub with a repository that has one commit."""
    with served(Hub()) as server:
        server.repo(NAME).push(1)
        yield server


@pytest.fixture
def samples(project, instance, hub) -> dict[tuple[str, str], float]:
    """What a scraper reads of a project with two good records and a bad one, which asked GitHub twice."""
    project.log.write_text('{"name": 1}\n')
    collected(project, instance, a=2, b=1)
    assert project.execute(instance, "tables", span(3, 1))
    with project.lake() as lake:
        from_github = settings_of(project.settings.root, hub)
        assert not collect(lake, from_github).problems
        hub.fault = lambda request: "primary for an hour" if request.verb == "GET" else None
        assert "asks to wait" in collect(lake, from_github, replace(HASTE, longest_wait=1)).problems[0]
        with lake.reading():
            text = exposition(families(lake, {"landing": 12}))
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    found = [SAMPLE.fullmatch(line) for line in lines]
    assert all(found), text
    return {(match[1], match[2]): float(match[3]) for match in found if match}


def test_what_ops_knows_is_told(samples):
    assert samples["prodlens_landed_records_total", 'source="notes:log",outcome="accepted"'] == 2
    assert samples["prodlens_landed_records_total", 'source="notes:log",outcome="rejected"'] == 1
    assert samples["prodlens_dead_letters", 'source="notes:log",status="rejected"'] == 1
    assert samples["prodlens_table_rows", 'table="marts.counts"'] == 2
    assert samples["prodlens_disk_bytes", 'area="landing"'] == 12
    newest = samples["prodlens_table_newest_day_timestamp_seconds", 'table="marts.counts"']
    assert newest % 86400 == 0
    collected_at = samples["prodlens_source_last_collected_timestamp_seconds", 'source="notes:log"']
    assert 0 < samples["prodlens_table_last_made_timestamp_seconds", 'table="marts.counts"'] - collected_at < 600
    assert collected_at - newest < 3 * 86400


def test_what_github_said_last_of_its_quota_is_told(samples, hub):
    core = f'server="{hub.url}",resource="core"'
    graphql = f'server="{hub.url}",resource="graphql"'
    assert samples["prodlens_github_quota_limit", core] == 5000
    assert samples["prodlens_github_quota_limit", graphql] == 6000
    assert samples["prodlens_github_quota_remaining", core] == 0
    assert 4900 < samples["prodlens_github_quota_remaining", graphql] < 5000
    assert 3500 < samples["prodlens_github_quota_reset_timestamp_seconds", core] - time.time() <= 3600
    assert samples["prodlens_github_quota_reset_timestamp_seconds", graphql] == 1_900_000_000
    assert len([name for name, _ in samples if "quota" in name]) == 6


def test_the_dashboard_shows_these_metrics_and_no_others(samples):
    shown = set(
        re.findall(r"prodlens_\w+", json.dumps([p["targets"] for p in json.loads(DASHBOARD.read_text())["panels"]]))
    )
    assert shown == {name for name, _ in samples}


def test_a_label_may_hold_anything():
    family = Family("x", "gauge", "X.", ("path",), ((('a"b\\c\nd',), 1.0),))
    assert exposition([family]).splitlines()[-1] == 'x{path="a\\"b\\\\c\\nd"} 1'
