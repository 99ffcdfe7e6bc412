"""The conventions of this code location, held by tests."""

from pathlib import Path

import dagster as dg
import pytest
import yaml

from prodlens_pipeline.definitions import build_defs
from prodlens_pipeline.settings import Settings
from prodlens_pipeline.warehouse.models import MODELS

ROOT = Path(__file__).resolve().parents[1]
GROUPS = {"config", "landing", "traces", "delivery", "survey", "core", "marts", "analysis"}


@pytest.fixture(scope="module")
def defs(tmp_path_factory) -> dg.Definitions:
    root = tmp_path_factory.mktemp("project")
    return build_defs(Settings(root=root, home=root / ".prod-lens"))


def test_the_location_loads(defs):
    dg.Definitions.validate_loadable(defs)


def test_every_asset_says_what_it_is_and_whose(defs):
    for spec in defs.resolve_all_asset_specs():
        assert spec.description, spec.key
        assert "\n" not in spec.description.strip(), spec.key
        assert spec.owners, spec.key
        assert spec.kinds, spec.key
        assert spec.group_name in GROUPS, spec.key


def test_every_table_shows_its_columns_and_every_asset_has_a_check(defs):
    graph = defs.resolve_asset_graph()
    for spec in defs.resolve_all_asset_specs():
        assert graph.get_check_keys_for_assets({spec.key}), f"{spec.key} has no check"
        if spec.key.path[0] != "landing":
            assert spec.metadata["dagster/column_schema"].columns, spec.key


def test_a_run_prepares_every_table(defs):
    tables = {spec.key.path[0] + "." + spec.key.path[1] for spec in defs.resolve_all_asset_specs()}
    prepared = {contract.full_name for contract in defs.resources["warehouse"].contracts}
    assert prepared == {name for name in tables if not name.startswith("landing.")}


def test_no_asset_depends_on_something_that_nobody_makes(defs):
    graph = defs.resolve_asset_graph()
    assert not graph.external_asset_keys


def test_every_sql_file_is_an_asset(defs):
    keys = {"/".join(spec.key.path) for spec in defs.resolve_all_asset_specs()}
    files = {f"{path.parent.name}/{path.stem}" for path in MODELS.glob("*/*.sql")}
    assert files <= keys


def test_the_workspace_names_this_location():
    (location,) = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    assert location["python_module"] == {"module_name": "prodlens_pipeline.definitions", "location_name": "prodlens"}


def test_runs_stay_in_one_process(defs):
    assert defs.executor is dg.in_process_executor
