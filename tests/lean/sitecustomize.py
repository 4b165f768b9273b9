"""For the processes that tests start: what only benchmarks need is not there, as in the environment that `make run` sets up."""

import sys

for name in ("dask", "pandas", "sklearn"):
    sys.modules[name] = None  # type: ignore[assignment]
