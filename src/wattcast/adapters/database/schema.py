"""The tables of the database, as SQLAlchemy knows them; `migrations` makes them. Instants are UTC epoch seconds."""

from __future__ import annotations

from sqlalchemy import REAL, BigInteger, Boolean, Column, ForeignKey, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

# The newest of `migrations/versions`: what this code expects to find.
HEAD = "0002"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

meters = Table(
    "meter",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("id", String(100), nullable=False, unique=True),
    Column("zone", String(64), nullable=False),
    Column("flow", String(16), nullable=False),
    Column("holidays", String(16), nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("step_s", Integer, nullable=False),
    # Rises with every batch that changed something: what answers from memory compares it.
    Column("revision", BigInteger, nullable=False),
)

_OF_METER = "meter.key"

readings = Table(
    "reading",
    metadata,
    Column("meter_key", ForeignKey(_OF_METER, ondelete="CASCADE"), primary_key=True),
    Column("start_s", BigInteger, primary_key=True, autoincrement=False),
    Column("power_kw", REAL),
    # A JSON object, or null where the meter measures nothing else.
    Column("covariates", Text),
    # What stood here before, oldest first: a JSON list, or null where nothing was ever corrected.
    Column("before", Text),
    sqlite_with_rowid=False,
)

# Which span each revision touched, so that memory follows without reading everything again.
arrivals = Table(
    "arrival",
    metadata,
    Column("meter_key", ForeignKey(_OF_METER, ondelete="CASCADE"), primary_key=True),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("arrived_s", BigInteger, nullable=False),
    Column("first_s", BigInteger, nullable=False),
    Column("end_s", BigInteger, nullable=False),
)

forecasts = Table(
    "forecast",
    metadata,
    Column("key", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("meter", String(100), nullable=False),
    Column("task", String(100), nullable=False),
    Column("origin_s", BigInteger, nullable=False),
    Column("step_s", Integer, nullable=False),
    Column("version", String(64), nullable=False),
    Column("tier", String(16), nullable=False),
    Column("model", Text, nullable=False),
    Column("reason", Text, nullable=False),
    # The steps as JSON, and a hash of them: the same forecast given out twice is one row.
    Column("steps", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("first_served_s", BigInteger, nullable=False),
    Column("last_served_s", BigInteger, nullable=False),
    Column("served", BigInteger, nullable=False),
    UniqueConstraint("meter", "task", "origin_s", "version", "digest"),
    Index(None, "meter", "task", "last_served_s"),
)

keys = Table(
    "api_key",
    metadata,
    Column("id", String(12), primary_key=True),
    Column("name", String(100), nullable=False),
    # With blanks between them.
    Column("scopes", String(200), nullable=False),
    Column("meter", String(100), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("created_s", BigInteger, nullable=False),
    Column("revoked_s", BigInteger),
)

settings = Table("setting", metadata, Column("name", String(100), primary_key=True), Column("value", Text, nullable=False))

# What a backup holds: a secret is no reading, and memory does not outlive a database.
kept_in_backups = (meters, readings, forecasts)
