"""`python -m life.loading`: seconds that the store of the environment takes to be read, verified and loaded, its first time here."""

from __future__ import annotations

import sys
import time

# What a server has loaded by then.
import onnxruntime  # noqa: F401

from wattcast.adapters.wiring import connect
from wattcast.config import load_settings
from wattcast.serving import ForecastService

if __name__ == "__main__":
    services = connect(load_settings())
    service = ForecastService(services.store, services.snapshots)
    began = time.perf_counter()
    service.load()
    took_s = time.perf_counter() - began
    if service.refused or not service.loaded:
        sys.exit(f"refused: {service.refused}")
    print(took_s)
