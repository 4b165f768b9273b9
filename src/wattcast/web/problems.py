"""The one error shape: RFC 9457 problem details as JSON, or the same words as a page. Nothing of an unexpected exception is ever shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import structlog
from flask import Flask, current_app, g, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestTimeout
from werkzeug.sansio.response import Response

from wattcast.errors import (
    BadBundle,
    BadMeterFile,
    BadParams,
    BadRequest,
    Forbidden,
    NotEnoughHistory,
    NotFound,
    RegistryConflict,
    Unauthorized,
    Unavailable,
    WattcastError,
)
from wattcast.web.broken import BROKEN_BODY, TooSlow

log = structlog.get_logger("wattcast")

LARGEST_BODY_BYTES = 64 * 1024
_FOR_PROGRAMS = ("/api/", "/healthz/", "/readyz/", "/metrics/", "/openapi.json/")

_HTTP = {
    404: ("Not found", "There is nothing at this address."),
    405: ("Method not allowed", "This address does not answer that method."),
    408: ("Too slow", "The request took too long to arrive."),
    413: ("Too large", "The request has more bytes than this address takes."),
    429: ("Too many requests", "This key, or this address, has asked too often."),
    415: ("Unsupported media type", "Send a form (application/x-www-form-urlencoded) or JSON (application/json)."),
}


_NOT_OURS = "Form not accepted"
_STATUS = {Unauthorized: 401, Forbidden: 403, NotFound: 404}


@dataclass(frozen=True)
class Kind:
    """One kind of problem, as it is documented."""

    title: str
    statuses: tuple[int, ...]
    text: str

    @property
    def slug(self) -> str:
        """The kind's name in addresses."""
        return "-".join(self.title.lower().split())


KINDS = (
    Kind(BadRequest.title, (400, 422), "What was sent is malformed (400), or a field of it cannot be (422): `errors` names the fields."),
    Kind(BadMeterFile.title, (422,), "The meter file cannot be read as readings: the line and the value are named."),
    Kind(BadParams.title, (422,), "A zone, unit or other fact of a meter is none."),
    Kind(NotEnoughHistory.title, (422,), "There are too few readings for what was asked."),
    Kind(Unauthorized.title, (401,), "A key is needed, and none was sent that counts."),
    Kind(Forbidden.title, (403,), "The key does not allow this; without keys, the service was asked by a name that is not its machine's."),
    Kind(NotFound.title, (404,), "What was asked for by name is not there."),
    Kind(_NOT_OURS, (400,), "A page's form came without the mark that the page puts into it: programs use the API."),
    Kind("Meter not known", (404,), "The page was asked for a meter that was never registered."),
    Kind("Method not allowed", (405,), _HTTP[405][1]),
    Kind("Too slow", (408,), _HTTP[408][1]),
    Kind("Too large", (413, 414, 431), "The body, the address or the headers have more bytes than are taken here."),
    Kind("Too many requests", (429,), "The key, or the address, has asked too often: Retry-After says when to go on."),
    Kind("Unsupported media type", (415,), "The body is of a kind that this address does not read."),
    Kind(BadBundle.title, (503,), "A model file cannot be used; the service answers what it can without it."),
    Kind(RegistryConflict.title, (503,), "The registry of models cannot be read now."),
    Kind(Unavailable.title, (503,), "Something outside the service is missing, such as the database: try again."),
    Kind("Internal error", (500,), "The service made a mistake; it is in its log."),
)


@dataclass(frozen=True)
class Problem:
    """What went wrong, for the one who asked. errors: a field's name -> what is wrong with it."""

    status: int
    title: str
    detail: str
    hint: str = ""
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """Where this kind of problem is described."""
        return f"/docs#problem-{Kind(self.title, (), '').slug}"

    def to_json(self) -> dict[str, Any]:
        """The problem details, members that are empty left out."""
        said = {"type": self.type, "title": self.title, "status": self.status, "detail": self.detail}
        if self.hint:
            said["hint"] = self.hint
        if self.errors:
            said["errors"] = [{"field": name, "message": message} for name, message in self.errors.items()]
        return said


def for_programs() -> bool:
    """Whether what was asked for is no page."""
    return f"{request.path}/".startswith(_FOR_PROGRAMS)


def wants_json() -> bool:
    """Whether the answer is to be JSON: always of the API, else what Accept prefers; where it does not care, what programs ask for is."""
    if request.path.startswith("/api/"):
        return True
    accept = request.accept_mimetypes
    json = max(accept["application/json"], accept["application/problem+json"])
    html = accept["text/html"]
    return json > html or (json == html and (request.is_json or for_programs()))


def problem_of(error: WattcastError) -> Problem:
    """The problem of a refusal. What is our own fault keeps its message, which may name files of the server, to the log."""
    if isinstance(error, BadRequest):
        return Problem(422 if error.fields else 400, error.title, error.message, error.hint, error.fields)
    if isinstance(error, Unauthorized | Forbidden | NotFound):
        return Problem(_STATUS[type(error)], error.title, error.message, error.hint)
    if isinstance(error, NotEnoughHistory | BadMeterFile | BadParams):
        return Problem(422, error.title, error.message, error.hint)
    log.warning("refused", kind=error.title, message=error.message, request_id=g.get("request_id"))
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


def in_words(size: int) -> str:
    """A size in bytes as people say it: 50 MB."""
    return f"{size // 1024**2} MB" if size >= 1024**2 else f"{size // 1024} kB"


def register(app: Flask) -> None:
    """Make every error of the app answer in this shape."""

    @app.errorhandler(WattcastError)
    def refused(error: WattcastError) -> Response:
        answer = respond(problem_of(error))
        if isinstance(error, Unauthorized):
            answer.headers["WWW-Authenticate"] = 'Bearer realm="wattcast"'
        return answer

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        status = error.code or 500
        title, detail = _HTTP.get(status, (error.name, "The request cannot be answered."))
        if status == 413 and request.max_content_length:
            detail = f"A request here may have {in_words(request.max_content_length)} at most."
        hint = {429: "wait as long as Retry-After says", 408: "send it faster, or in smaller parts"}.get(status, "")
        answer = respond(Problem(status, title, detail, hint))
        if isinstance(error, MethodNotAllowed):
            answer.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
        return answer

    @app.errorhandler(CSRFError)
    def not_ours(_: CSRFError) -> Response:
        if current_app.config["SESSION_COOKIE_SECURE"] and not request.is_secure:
            said = "Browsers keep the cookie that a form needs here over TLS alone, and this page came without."
            hint = "put TLS in front and say so (WATTCAST_PROXIES); a program's key in the Authorization header works meanwhile"
            return respond(Problem(400, _NOT_OURS, said, hint))
        said = "This form was not sent from a page of this service, or that page has been open for too long."
        return respond(Problem(400, _NOT_OURS, said, "open the page again, and send its form"))

    @app.errorhandler(TooSlow)
    def slow(_: TooSlow) -> Response:
        return http(RequestTimeout())

    def broken(_: Exception) -> Response:
        return respond(Problem(400, BadRequest.title, "The body ended too early, or its chunks are none.", "send it again"))

    for kind in BROKEN_BODY:
        app.register_error_handler(kind, broken)

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        log.error("failed", method=request.method, path=request.path, request_id=g.get("request_id"), exc_info=error)
        return respond(Problem(500, "Internal error", "The service made a mistake; it is in its log.", "try again in a moment"))
