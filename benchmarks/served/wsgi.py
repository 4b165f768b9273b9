"""The apps that gunicorn serves: ours as shipped, ours bare, and the Flask that both are measured against."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, request

from wattcast.config import load_settings
from wattcast.web.server import worker_app

# Names a JSON file: path -> the answer that bare Flask always gives there.
ANSWERS = "SERVED_ANSWERS"


def shipped() -> Flask:
    """Ours, with nothing taken away: the settings come from the environment."""
    return worker_app(load_settings())


def bare() -> Flask:
    """Ours without what runs before and after every answer: keys, limit, headers, log line, request id and counts of requests.

    What is left is what bare Flask does too (a route, a body, an answer), and the forecast.
    """
    app = worker_app(load_settings())
    for around in (app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs):
        around.clear()
    return app


def plain() -> Flask:
    """Bare Flask: it reads the same JSON by `get_json`, looks at nothing, and gives a constant through `jsonify`."""
    app = Flask("plain")
    app.add_url_rule("/readyz", view_func=lambda: {"ready": True}, endpoint="readyz")
    for path, answer in json.loads(Path(os.environ[ANSWERS]).read_text("utf-8")).items():
        app.add_url_rule(path, f"get {path}", _constant(answer), methods=["GET"])
        app.add_url_rule(path, f"post {path}", _read_and_constant(answer), methods=["POST"])
    return app


def _constant(answer: Any) -> Callable[[], Response]:
    return lambda: jsonify(answer)


def _read_and_constant(answer: Any) -> Callable[[], Response]:
    def view() -> Response:
        request.get_json()
        return jsonify(answer)

    return view
