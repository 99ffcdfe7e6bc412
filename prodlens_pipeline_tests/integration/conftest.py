"""These tests start servers and take minutes: only `-m integration` runs them."""

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "integration" in config.option.markexpr:
        return
    for item in items:
        if item.path.is_relative_to(config.rootpath / "prodlens_pipeline_tests" / "integration"):
            item.add_marker(pytest.mark.skip(reason="takes minutes: 'make integration' runs it"))
