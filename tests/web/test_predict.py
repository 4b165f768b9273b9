"""POST /predict: the original's form, validated, answered from the best tier, as a page and as JSON."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from small_store import HOUSE, READING, TITLES, house_readings, next_minute_model

from wattcast.forecasting.features import build_features
from wattcast.meter.clock import utc_offset_s

JSON = {"Accept": "application/json"}
NUMBERS = [name for name in READING if name not in ("model_choice", "datetime")]


def asked(client: FlaskClient, **changes: Any) -> dict[str, Any]:
    """The JSON answer to the reading with some fields changed."""
    answer = client.post("/predict", data=READING | changes, headers=JSON)
    assert answer.status_code == 200, answer.text
    assert isinstance(answer.json, dict)
    return answer.json


def faults(client: FlaskClient, **sent: Any) -> dict[str, str]:
    """Field -> message of a reading that is refused with 422 problem details."""
    answer = client.post("/predict", headers=JSON, **sent)
    assert answer.status_code == 422, answer.text
    assert answer.mimetype == "application/problem+json"
    assert answer.json is not None
    return {error["field"]: error["message"] for error in answer.json["errors"]}


@pytest.mark.parametrize("title", TITLES.values())
def test_the_three_names_answer_the_originals_fields(client: FlaskClient, title: str) -> None:
    """Each name of the original's drop-down answers exactly the original's fields with the original's sentence."""
    answer = asked(client, model_choice=title)
    assert answer["sentence"] == f"Predicted Energy Consumption: {answer['prediction_kw']:.4f} kW (using {title})"
    assert answer["model"] == title
    assert answer["tier"] in ("champion", "family")
    assert answer["reason"] == ""
    assert len(answer["version"]) == 64
    assert answer["forecast_for"] == "2010-11-26T21:06:00+01:00"
    assert list(answer["interval"]) == ["0.1", "0.9"]
    assert answer["interval"]["0.1"] <= answer["quantiles"]["0.5"] <= answer["interval"]["0.9"]


def test_the_page_says_the_same_as_the_json(client: FlaskClient) -> None:
    """The page keeps the sentence and adds interval, time, version and tier; what was typed stays in the form."""
    answer, page = asked(client), client.post("/predict", data=READING)
    assert page.status_code == 200
    assert page.mimetype == "text/html"
    for said in (answer["sentence"], "26 Nov 2010 21:06 to 21:07 (Europe/Paris)", "80 % interval", answer["version"][:12]):
        assert said in page.text
    assert 'value="240.5"' in page.text
    assert 'value="2010-11-26T21:05"' in page.text


def test_json_in_is_json_out(client: FlaskClient) -> None:
    """A JSON body with the same fields gets the same answer; without an Accept header it is JSON."""
    numbers = {name: float(READING[name]) for name in NUMBERS}
    answer = client.post("/predict", json=READING | numbers)
    assert answer.json == asked(client)
    assert client.post("/predict", json=READING, headers={"Accept": "text/html"}).mimetype == "text/html"


def test_a_missing_active_power_is_estimated_and_said(client: FlaskClient) -> None:
    """Without Global_active_power voltage x current is taken, which gives what that power typed in gives, and is said."""
    without, typed = asked(client), asked(client, Global_active_power=str(240.5 * 5.2 / 1_000))
    assert without["estimated_active_power"]
    assert not typed["estimated_active_power"]
    assert without["prediction_kw"] == pytest.approx(typed["prediction_kw"], abs=1e-6)
    assert asked(client, Global_active_power=" ")["estimated_active_power"]
    assert "estimated from voltage and current" in client.post("/predict", data=READING).text.split("</dl>")[0]


def test_fault_1_the_answer_has_the_last_power_and_loses_to_no_baseline_unseen(client: FlaskClient) -> None:
    """The reading's own power counts for the forecast, and the page shows every score beside its baseline."""
    low, high = asked(client, Global_active_power="0.3"), asked(client, Global_active_power="2.1")
    assert low["prediction_kw"] < high["prediction_kw"]
    assert "Baseline: the last reading repeated" in client.get("/").text


@pytest.mark.parametrize("minute", ["2010-11-25T21:59", "2010-11-26T00:00", "2010-11-26T06:30"])
def test_fault_2_serving_builds_the_row_that_training_built(client: FlaskClient, trained: Path, minute: str) -> None:
    """A forecast over HTTP is the model's own on the row that training makes of the same reading; its hour is the TARGET minute's."""
    table, model = house_readings(), next_minute_model(trained, "xgb", "one_reading")
    reading_s = int(datetime.fromisoformat(minute + "+01:00").timestamp())
    row = (reading_s - table.start_s) // 60
    features = build_features(table, np.array([row + 1]), model.facts.spec)
    target_s = np.array([reading_s + 60])
    hour = (target_s + utc_offset_s(HOUSE.zone, target_s)) % 86_400 / 3_600
    assert features.matrix[0, features.names.index("hour")] == pytest.approx(hour[0])

    names = dict(zip(table.covariates, NUMBERS, strict=True)) | {"power_kw": "Global_active_power"}
    typed = {names[name]: repr(float(values[row])) for name, values in table.columns().items()}
    assert asked(client, datetime=minute, **typed)["prediction_kw"] == pytest.approx(float(model.predict(features)[0][0]), abs=1e-5)


@pytest.mark.parametrize(
    ("typed", "target"),
    [
        ("2010-11-26T21:05:59", "2010-11-26T21:06:00+01:00"),
        ("2010-11-26 21:05", "2010-11-26T21:06:00+01:00"),
        ("2010-11-26T21:05Z", "2010-11-26T22:06:00+01:00"),
        ("2010-11-26T21:05:00-05:00", "2010-11-27T03:06:00+01:00"),
        ("2010-07-01T12:00", "2010-07-01T12:01:00+02:00"),
        ("2010-10-31T02:30", "2010-10-31T02:31:00+02:00"),
        ("2010-03-28T02:30", "2010-03-28T03:31:00+02:00"),
    ],
)
def test_a_naive_time_is_the_meters_clock(client: FlaskClient, typed: str, target: str) -> None:
    """A time without offset is read on the meter's clock, both clock changes included; the forecast is for the minute after."""
    assert asked(client, datetime=typed)["forecast_for"] == target


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("typed", ["nan", "inf", "-Infinity", "1e400", "", "  ", "abc", "240,1", "1e9", "0x10", "1_0", "٣", "-1001"])
def test_fault_7_what_is_no_number_in_range_is_refused(client: FlaskClient, name: str, typed: str) -> None:
    """Everything but a finite number in range is 422 and names its field, and no other."""
    assert list(faults(client, data=READING | {name: typed})) == [name]


@pytest.mark.parametrize(
    "typed",
    ["", "2010-11-26", "9999-01-01T00:00", "0001-01-01T00:00", "yesterday", "2010-13-26T21:05", "2010-11-26T25:00", "21:05", "1290805500"],
)
def test_what_is_no_moment_is_refused(client: FlaskClient, typed: str) -> None:
    """A date without a time, year 9999 and nonsense are 422 naming datetime."""
    assert list(faults(client, data=READING | {"datetime": typed})) == ["datetime"]


def test_an_unknown_model_or_meter_and_missing_fields_are_named(client: FlaskClient) -> None:
    """Every field at fault is named at once."""
    assert "choose one of XGBoost Regressor" in faults(client, data=READING | {"model_choice": "Prophet"})["model_choice"]
    assert faults(client, data=READING | {"meter": "garage"}) == {"meter": '"garage" is not a known meter'}
    assert set(faults(client, data={})) == set(READING)
    assert set(faults(client, data=b"", content_type="application/json")) == set(READING)
    assert faults(client, json=READING | {"meter": 0}) == {"meter": "Input should be a valid string"}
    left = {name: value for name, value in READING.items() if name != "Voltage"}
    assert faults(client, json=left) == {"Voltage": "give a value"}


@pytest.mark.parametrize("value", [True, None, [], {}, [[1]], "\ud800", float("nan"), float("inf"), 10**400, -(10**400)])
def test_json_values_that_are_no_number_are_refused(client: FlaskClient, value: object) -> None:
    """JSON can say more than a form: booleans, lists, halves of characters, huge integers are all 422, as JSON and as a page."""
    body = json.dumps(READING | {"Voltage": value, "datetime": value})
    assert list(faults(client, data=body, content_type="application/json")) == ["datetime", "Voltage"]
    page = client.post("/predict", data=body, content_type="application/json", headers={"Accept": "text/html"})
    assert page.status_code == 422


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff\xfe", b"[" * 30_000, b'{"Voltage": ' + b"9" * 5_000 + b"}"])
def test_a_body_that_is_no_json_object_is_refused(client: FlaskClient, body: bytes) -> None:
    """Broken JSON, and JSON that is no object, is 400 and never 500."""
    answer = client.post("/predict", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["title"] == "Bad request"
    assert "Traceback" not in answer.text


def test_errors_sit_beside_their_field_and_keep_what_was_typed(client: FlaskClient) -> None:
    """The page of a refused reading links a summary to its fields, marks them for readers of screens and keeps every value."""
    typed = READING | {"Voltage": '"><script>alert(1)</script>', "Sub_metering_3": "99", "model_choice": "Prophet"}
    page = client.post("/predict", data=typed)
    assert page.status_code == 422
    assert '<a href="#Voltage">Voltage</a> is not a number' in page.text
    field = page.text.split('id="Voltage"')[1].split("</div>")[0]
    assert 'aria-invalid="true" aria-describedby="Voltage-fault Voltage-note"' in field
    assert 'id="Voltage-fault">is not a number' in field
    assert "&lt;script&gt;alert(1)" in field
    assert "<script>alert" not in page.text
    assert 'value="99"' in page.text
    assert "<option selected>Prophet</option>" in page.text
    assert page.text.count('aria-invalid="true"') == 2


def test_a_negative_power_needs_a_net_meter(client: FlaskClient) -> None:
    """A meter of consumption refuses a power below zero, beside its field."""
    assert faults(client, data=READING | {"Global_active_power": "-0.5"}) == {
        "Global_active_power": "this meter cannot have a negative power"
    }


@pytest.mark.parametrize(("size", "kind"), [(70_000, "application/json"), (10_000_000, "application/x-www-form-urlencoded")])
def test_a_large_body_is_413(client: FlaskClient, size: int, kind: str) -> None:
    """More than 64 kB is 413, whatever it is."""
    answer = client.post("/predict", data=b"Voltage=" + b"1" * size, content_type=kind, headers=JSON)
    assert answer.status_code == 413
    assert answer.json is not None
    assert answer.json["detail"] == "A request here may have 64 kB at most."


def test_a_large_part_of_a_multipart_form_is_413(client: FlaskClient) -> None:
    """A multipart form is read too, and has the same limit."""
    assert client.post("/predict", data=READING, content_type="multipart/form-data", headers=JSON).status_code == 200
    assert client.post("/predict", data=READING | {"x": "1" * 70_000}, content_type="multipart/form-data").status_code == 413


def test_another_content_type_is_415(client: FlaskClient) -> None:
    """What is neither a form nor JSON is refused by its type."""
    assert client.post("/predict", data=b"Voltage=240", content_type="text/csv").status_code == 415


def test_without_a_model_for_the_minute_a_baseline_answers_and_is_named(client: FlaskClient) -> None:
    """A meter whose file is hourly has no next-minute model: the reading is repeated, the sentence and the reason say so."""
    answer = asked(client, meter="hourly", Global_active_power="0.7")
    assert answer["sentence"] == "Predicted Energy Consumption: 0.7000 kW (using the last reading repeated)"
    assert answer["tier"] == "baseline"
    assert "3600 s apart" in answer["reason"]
    assert answer["version"] == ""
    assert answer["interval"] is None
    page = client.post("/predict", data=READING | {"meter": "hourly"})
    assert "XGBoost Regressor did not answer: the readings are 3600 s apart" in page.text
    assert "no model file" in page.text
    assert "<dt>Within</dt><dd>not known</dd>" in page.text


def test_the_answer_does_not_depend_on_the_servers_clock(client: FlaskClient) -> None:
    """A reading of next year and one of 1971 are answered for their own next minute."""
    assert asked(client, datetime="2099-12-31T23:59+00:00")["forecast_for"] == "2100-01-01T01:00:00+01:00"
    assert asked(client, datetime="1971-01-01T00:00")["forecast_for"] == "1971-01-01T00:01:00+01:00"
