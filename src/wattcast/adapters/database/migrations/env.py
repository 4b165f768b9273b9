"""Alembic's entry: run the steps on the connection that `Database.upgrade` gives."""

from __future__ import annotations

from alembic import context

from wattcast.adapters.database.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite alters a table by writing it anew.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
