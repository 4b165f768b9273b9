"""The one error shape: RFC 9457 problem details as JSON, or the same words as a page. Nothing of an unexpected exception is ever shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flask import Flask, current_app, make_response, render_template, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.sansio.response import Response

from wattcast.errors import BadMeterFile, BadRequest, NotEnoughHistory, NothingToScore, WattcastError

LARGEST_BODY_BYTES = 64 * 1024
_READ_AWAY_BYTES = 32 * 1024 * 1024

_HTTP = {
    404: ("Not found", "There is nothing at this address."),
    405: ("Method not allowed", "This address does not answer that method."),
    413: ("Too large", f"A request may have {LARGEST_BODY_BYTES // 1024} kB at most."),
    415: ("Unsupported media type", "Send a form (application/x-www-form-urlencoded) or JSON (application/json)."),
}


@dataclass(frozen=True)
class Problem:
    """What went wrong, for the one who asked. errors: a field's name -> what is wrong with it."""

    status: int
    title: str
    detail: str
    hint: str = ""
    errors: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The problem details, members that are empty left out."""
        kind = "-".join(self.title.lower().split())
        said = {"type": f"/docs/errors#{kind}", "title": self.title, "status": self.status, "detail": self.detail}
        if self.hint:
            said["hint"] = self.hint
        if self.errors:
            said["errors"] = [{"field": name, "message": message} for name, message in self.errors.items()]
        return said


def wants_json() -> bool:
    """Whether the answer is to be JSON: what Accept prefers, and where it does not care, what the request itself was."""
    accept = request.accept_mimetypes
    json = max(accept["application/json"], accept["application/problem+json"])
    html = accept["text/html"]
    return json > html or (json == html and request.is_json)


def problem_of(error: WattcastError) -> Problem:
    """The problem of a refusal. What is our own fault keeps its message, which may name files of the server, to the log."""
    if isinstance(error, BadRequest):
        return Problem(422 if error.fields else 400, error.title, error.message, error.hint, error.fields)
    if isinstance(error, NotEnoughHistory | NothingToScore | BadMeterFile):
        return Problem(422, error.title, error.message, error.hint)
    current_app.logger.warning("%s: %s", error.title, error.message)
    return Problem(503, error.title, "The service cannot answer this at the moment.", error.hint)


def respond(problem: Problem) -> Response:
    """The problem as the caller reads it."""
    if wants_json():
        answer = current_app.json.response(problem.to_json())
        answer.mimetype = "application/problem+json"
    else:
        answer = make_response(render_template("problem.html", problem=problem))
    answer.status_code = problem.status
    return answer


def _read_away() -> None:
    """Take in the rest of a body that is too large, within reason: a client that is still sending would not see our answer."""
    body, left = request.environ["wsgi.input"], _READ_AWAY_BYTES
    while left > 0 and (chunk := body.read(min(left, LARGEST_BODY_BYTES))):
        left -= len(chunk)


def register(app: Flask) -> None:
    """Make every error of the app answer in this shape."""

    @app.errorhandler(WattcastError)
    def refused(error: WattcastError) -> Response:
        return respond(problem_of(error))

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        status = error.code or 500
        if status == 413:
            _read_away()
        answer = respond(Problem(status, *_HTTP.get(status, (error.name, "The request cannot be answered."))))
        if isinstance(error, MethodNotAllowed):
            answer.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
        return answer

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        app.logger.error("%s %s failed", request.method, request.path, exc_info=error)
        return respond(Problem(500, "Internal error", "The service made a mistake; it is in its log.", "try again in a moment"))
