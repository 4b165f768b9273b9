"""Every error says what, where and what to do."""

from __future__ import annotations

import pytest

from wattcast import errors
from wattcast.errors import BadRequest, WattcastError, explain

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, WattcastError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_title_a_message_and_a_hint(kind: type[WattcastError]) -> None:
    """A kind has a title of its own, and keeps the message and the hint that it is raised with."""
    error = kind("the file is torn", "copy it again")
    assert (error.message, error.hint, str(error)) == ("the file is torn", "copy it again", "the file is torn")
    assert [other for other in KINDS if other.title == kind.title] == [kind]
    assert (kind.__doc__ or "").endswith(".")


def test_an_error_is_one_line_and_its_hint() -> None:
    """What a person reads on the console."""
    assert explain(WattcastError("the file is torn", "copy it again")) == "error: the file is torn\nhint: copy it again"
    assert explain(WattcastError("the file is torn")) == "error: the file is torn"


def test_a_bad_request_names_its_fields() -> None:
    """Field by field, and none where none is at fault."""
    assert BadRequest("no", "do", {"origin": "too late"}).fields == {"origin": "too late"}
    assert BadRequest("no").fields == {}
