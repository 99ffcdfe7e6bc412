"""`prod-lens` as it is installed, without pandas: DuckDB would load it, and it is here for another contender only."""

import sys

sys.modules["pandas"] = None  # type: ignore[assignment]

from prodlens_pipeline.cli import main  # noqa: E402

main()
