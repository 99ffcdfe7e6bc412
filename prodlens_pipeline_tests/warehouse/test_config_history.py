"""The configuration's history: one row per change, names of keys and hashes, never a value."""

from pathlib import Path

import dagster as dg

from prodlens_pipeline.settings import load_settings
from prodlens_pipeline.warehouse.config_history import configuration_history, record_configuration
from prodlens_pipeline.warehouse.lake import Lake
from prodlens_pipeline.warehouse.migrations import migrate, read_migrations
from prodlens_pipeline.warehouse.opening import Location, open_lake
from prodlens_pipeline.warehouse.resource import Warehouse
from prodlens_pipeline_tests.pipeline import lake_in_memory
from prodlens_pipeline_tests.places import write_config


def seen(lake: Lake) -> list[tuple[str, tuple[str, ...] | None]]:
    return [(one.config_hash, one.changed) for one in configuration_history(lake)]


def test_a_run_notes_a_configuration_that_is_another_than_the_one_before(tmp_path: Path) -> None:
    @dg.op(required_resource_keys={"warehouse"})
    def nothing() -> None:
        pass

    @dg.graph
    def run() -> None:
        nothing()

    texts = (
        "identities: {ana: ana@example.com}\n",
        "identities: {ana: ana@example.com}\n# a remark\nretention: {snapshot_days: 3}\n",
        "identities: {ana: ana@example.com}\nmodel_policy: [{repo: 'secret-place', allow: [m]}]\n",
        "identities: {ben: ben@example.com}\n",
    )
    for text in texts:
        settings = load_settings(write_config(tmp_path, text))
        run.execute_in_process(resources={"warehouse": Warehouse.of(settings)})
    with open_lake(Location.of(settings), read_only=True) as lake:
        changes = [changed for _, changed in seen(lake)]
        assert changes == [None, ("model_policy",), ("identities", "model_policy")]
        kept = str(lake.rows("select * from ops.config_history"))
    assert "example.com" not in kept and "secret-place" not in kept and "ana" not in kept


def test_going_back_is_a_change_and_doing_it_twice_is_doing_it_once() -> None:
    with lake_in_memory() as lake:
        for config_hash, digests in (("a", {"k": "1"}), ("a", {"k": "1"}), ("b", {}), ("a", {"k": "1"})):
            record_configuration(lake, config_hash, digests, "run")
        assert seen(lake) == [("a", None), ("b", ("k",)), ("a", ("k",))]


def test_what_ran_before_there_was_a_history_is_in_it_without_its_keys() -> None:
    with lake_in_memory() as lake:
        newest = len(read_migrations())
        migrate(lake, 3)
        for hour, config_hash in enumerate("aabba"):
            lake.execute(
                "insert into ops.etl_runs by name select 't' as asset, 'r' as run_id, 0 as rows, $hash as config_hash, "
                "'c' as code_version, timestamp '2026-03-02' + to_hours($hour) as started_at, now() as finished_at",
                {"hash": config_hash, "hour": hour},
            )
        assert migrate(lake) == newest
        record_configuration(lake, "a", {"k": "1"}, "run")
        record_configuration(lake, "c", {"k": "2"}, "run")
        assert seen(lake) == [("a", None), ("b", None), ("a", None), ("c", ("k",))]
