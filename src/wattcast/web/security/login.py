"""The page that asks for a key once, and the way out again."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import HiddenField, PasswordField
from wtforms.validators import InputRequired

from wattcast.web.security.guard import guard

login = Blueprint("login", __name__)


class KeyForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """A key, and where to go with it."""

    key = PasswordField("Key", [InputRequired("give a key")])
    next = HiddenField()


@login.route("/login", methods=["GET", "POST"])
def enter() -> ResponseReturnValue:
    """Ask for a key, and keep its id in a signed cookie."""
    if not guard().needed():
        return redirect(url_for("pages.home"), 303)
    form = KeyForm(formdata=request.form if request.method == "POST" else None, data={"next": request.args.get("next", "")})
    if form.validate_on_submit():
        key = guard().key_in(str(form.key.data).strip())
        if key is not None:
            session.clear()
            session.permanent = True
            session["key"] = key.id
            return redirect(_within(str(form.next.data)), 303)
        form.key.errors = [*form.key.errors, "this key does not count"]
    return render_template("login.html", form=form), 422 if request.method == "POST" else 200


@login.post("/logout")
def leave() -> ResponseReturnValue:
    """Forget the key."""
    session.clear()
    return redirect(url_for("login.enter"), 303)


def _within(address: str) -> str:
    """The address where it is one of this site, else the first page."""
    inside = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if inside else url_for("pages.home")
