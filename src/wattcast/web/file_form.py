"""The form of a meter file: its fields, who may have its readings kept, and which field a refusal is about."""

from __future__ import annotations

import re
from collections.abc import Mapping

from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired
from wtforms import BooleanField, StringField
from wtforms.validators import AnyOf, Length

from wattcast.errors import BadMeterFile, BadParams, BadRequest, Forbidden, WattcastError
from wattcast.meter.table import METER_ID, METER_ID_IN_WORDS
from wattcast.web.security.guard import require, who

# Name of a field -> what the page calls it.
FIELDS: Mapping[str, str] = {
    "file": "Meter file",
    "zone": "Time zone",
    "flow": "Flow",
    "unit": "Unit",
    "time_column": "Time column",
    "power_column": "Power column",
    "keep": "Keep these readings",
    "meter": "Meter name",
}
# Field -> its values, each with its words; "" is what counts where nothing is said.
CHOICES: Mapping[str, Mapping[str, str]] = {
    "flow": {"": "consumption", "net": "net: below zero where it feeds in"},
    "unit": {"": "as the file says", "kW": "kW", "W": "W", "kWh": "kWh per interval", "Wh": "Wh per interval"},
}
ABOUT_FILE = ("zone", "flow", "unit", "time_column", "power_column")
_LONGEST_NAME = 80


def _stripped(text: str | None) -> str:
    return (text or "").strip()


def _text(name: str, longest: int) -> StringField:
    return StringField(FIELDS[name], [Length(max=longest, message=f"has more than {longest} characters")], filters=[_stripped])


def _choice(name: str) -> StringField:
    return StringField(FIELDS[name], [AnyOf(CHOICES[name], message="choose one of these")], default="")


class FileForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """A meter file, what it does not tell of itself, and whether to keep its readings."""

    file = FileField(FIELDS["file"], [FileRequired("choose a meter file")])
    zone = _text("zone", 64)
    flow = _choice("flow")
    unit = _choice("unit")
    time_column = _text("time_column", 200)
    power_column = _text("power_column", 200)
    keep = BooleanField(FIELDS["keep"])
    meter = _text("meter", 100)

    @property
    def keeps(self) -> bool:
        """Whether the readings are to be kept."""
        return bool(self.keep.data)

    @property
    def meter_id(self) -> str:
        """The meter to keep them for, empty for none: the one that was named, else the only one of the key."""
        return str(self.meter.data or getattr(who(), "meter", "")) if self.keeps else ""

    @property
    def file_name(self) -> str:
        """What the file is called, for messages; empty for none."""
        name = str(getattr(self.file.data, "filename", "")).replace("\\", "/").rpartition("/")[2]
        return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."

    @property
    def tells_of_file(self) -> bool:
        """Whether anything is said of the file that stands folded away."""
        return any(self[name].data for name in ABOUT_FILE)

    def again(self) -> None:
        """Forget, for the next file, that readings of this one were kept."""
        self.keep.data, self.meter.data = False, ""

    def check(self) -> None:
        """Raise BadRequest for fields that cannot be, Forbidden where the key keeps no readings, or none of this meter."""
        faults = {} if self.validate() else {name: said[0] for name, said in self.errors.items()}
        if self.keeps:
            require("readings:write")
            key = who()
            if key is not None and not key.sees(self.meter_id):
                raise Forbidden(f"this key is for meter {key.meter} alone", f"give {key.meter}, or leave the name out")
            if not re.fullmatch(METER_ID, self.meter_id):
                faults["meter"] = METER_ID_IN_WORDS if self.meter_id else "give the meter a name to keep them under"
        if faults:
            count = "a fault" if len(faults) == 1 else f"faults in {len(faults)} fields"
            raise BadRequest(f"the form has {count}", "correct what is named and send it again", faults)


def fields_of(refusal: WattcastError, file_name: str) -> dict[str, str]:
    """What is wrong with which field of the form, by a refusal of its file or of what was said about it."""
    if isinstance(refusal, BadRequest) and refusal.fields:
        return {name if name in FIELDS else "file": said for name, said in refusal.fields.items()}
    return {_field_of(refusal): refusal.message.removeprefix(file_name).lstrip(":, ")}


def _field_of(refusal: WattcastError) -> str:
    if isinstance(refusal, Forbidden):
        return "keep" if "readings:write" in refusal.message else "meter"
    if isinstance(refusal, BadParams):
        return "zone"
    if isinstance(refusal, BadMeterFile):
        return next((name for name in ("power_column", "time_column", "unit") if name in refusal.hint), "file")
    return "file"


def as_on_page(hint: str) -> str:
    """A hint with fields called as the page calls them."""
    return re.sub(r"\b(unit|time_column|power_column)\b", lambda found: f'"{FIELDS[found[1]]}"', hint)
