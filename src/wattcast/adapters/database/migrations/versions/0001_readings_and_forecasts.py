"""Meters, their readings with what stood before a correction, and the log of forecasts given out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_METER = "meter.key"


def upgrade() -> None:
    """Make the first tables."""
    _readings()
    _forecasts()


def _readings() -> None:
    op.create_table(
        "meter",
        sa.Column("key", sa.Integer, nullable=False),
        sa.Column("id", sa.String(100), nullable=False),
        sa.Column("zone", sa.String(64), nullable=False),
        sa.Column("flow", sa.String(16), nullable=False),
        sa.Column("holidays", sa.String(16), nullable=False),
        sa.Column("simulated", sa.Boolean, nullable=False),
        sa.Column("step_s", sa.Integer, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_meter"),
        sa.UniqueConstraint("id", name="uq_meter_id"),
    )
    op.create_table(
        "reading",
        sa.Column("meter_key", sa.Integer, nullable=False),
        sa.Column("start_s", sa.BigInteger, nullable=False),
        sa.Column("power_kw", sa.REAL),
        sa.Column("covariates", sa.Text),
        sa.Column("before", sa.Text),
        sa.PrimaryKeyConstraint("meter_key", "start_s", name="pk_reading"),
        sa.ForeignKeyConstraint(["meter_key"], [_METER], name="fk_reading_meter_key", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "arrival",
        sa.Column("meter_key", sa.Integer, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("arrived_s", sa.BigInteger, nullable=False),
        sa.Column("first_s", sa.BigInteger, nullable=False),
        sa.Column("end_s", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("meter_key", "revision", name="pk_arrival"),
        sa.ForeignKeyConstraint(["meter_key"], [_METER], name="fk_arrival_meter_key", ondelete="CASCADE"),
    )


def _forecasts() -> None:
    op.create_table(
        "forecast",
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("meter", sa.String(100), nullable=False),
        sa.Column("task", sa.String(100), nullable=False),
        sa.Column("origin_s", sa.BigInteger, nullable=False),
        sa.Column("step_s", sa.Integer, nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("tier", sa.String(16), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("steps", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("first_served_s", sa.BigInteger, nullable=False),
        sa.Column("last_served_s", sa.BigInteger, nullable=False),
        sa.Column("served", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_forecast"),
        sa.UniqueConstraint("meter", "task", "origin_s", "version", "digest", name="uq_forecast_meter_task_origin_s_version_digest"),
    )
    op.create_index("ix_forecast_meter_task_last_served_s", "forecast", ["meter", "task", "last_served_s"])


def downgrade() -> None:
    """Take the first tables away."""
    for table in ("forecast", "arrival", "reading", "meter"):
        op.drop_table(table)
