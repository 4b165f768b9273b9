"""A client generated from the API's own description."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from running import Start


def test_a_generated_client_makes_a_forecast(
    trained: Path, start: Start, client: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """openapi-python-client makes it; it asks the next minute from one reading, and reads a refusal."""
    description = tmp_path / "openapi.json"
    description.write_text(json.dumps(client.get("/openapi.json").json))
    # It formats what it made with the tools beside it, or not at all.
    (tmp_path / "config.yml").write_text("post_hooks: []\n")
    words = [sys.executable, "-m", "openapi_python_client", "generate", "--path", str(description), "--meta", "none"]
    made = subprocess.run(
        [*words, "--output-path", str(tmp_path / "generated"), "--config", str(tmp_path / "config.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    # It knows no CSV and no NDJSON; everything else it has to understand.
    said = made.stdout + made.stderr
    assert said.count("WARNING") == said.count("Unsupported content type"), said
    monkeypatch.syspath_prepend(tmp_path)
    generated, models = importlib.import_module("generated"), importlib.import_module("generated.models")
    ask = importlib.import_module("generated.api.forecast.forecast")
    reading = models.Reading.from_dict({"start": "2010-11-26T21:59:00+01:00", "power_kw": 1.234, "voltage_v": 240.1})
    with generated.Client(base_url=start(trained).ready().url) as connected:
        said = ask.sync(client=connected, body=models.ForecastRequest(task="next_minute", meter="house", readings=[reading]))
        assert isinstance(said, models.ForecastAnswer)
        assert said.tier == "champion"
        assert said.steps[0].start == "2010-11-26T22:00:00+01:00"
        assert 0 < said.steps[0].mean < 5
        refused = ask.sync(client=connected, body=models.ForecastRequest(task="next_minute", readings=[], family="oak"))
        assert isinstance(refused, models.ProblemDetails)
        assert refused.status == 422
