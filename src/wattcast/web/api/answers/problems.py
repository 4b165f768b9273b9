"""Refusals as types of the API."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from wattcast.web.api.words import said


class FieldError(Struct, frozen=True):
    """What is wrong with one field."""

    field: Annotated[str, said("Its name, with its place in lists.", "readings[0].power_kw")]
    message: Annotated[str, said("What is wrong with it.", "Expected `float | null`, got `str`")]


class ProblemDetails(Struct, frozen=True, omit_defaults=True):
    """RFC 9457: what went wrong, and what to do."""

    type: Annotated[str, said("Address of this kind's description.", "/docs#problem-bad-request")]
    title: Annotated[str, said("Kind of problem.", "Bad request")]
    status: Annotated[int, said("Status of the answer.", 422)]
    detail: Annotated[str, said("What went wrong this time.", "task: is missing")]
    hint: Annotated[str, said("What to do about it.", "correct it; /docs describes every field")] = ""
    errors: Annotated[list[FieldError], Meta(description="Fields that are wrong, where it is about fields.")] = []
