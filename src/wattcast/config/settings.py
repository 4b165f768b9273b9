"""Operations: what runs where, read from the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from wattcast.config.words import nearest
from wattcast.errors import BadParams

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Says where tests and benchmarks find the real meter files.
_NO_SETTING = "WATTCAST_SHARED_DATA"
_PICKLES = (".pkl", ".pickle", ".joblib")
_KEY = "Key of the {} bundle in the bucket, where no serving manifest is there."


class Settings(BaseSettings):
    """Operations: what runs where. Read from WATTCAST_... in the environment; alters no result."""

    model_config = SettingsConfigDict(env_prefix="WATTCAST_", frozen=True, extra="forbid", populate_by_name=True)

    host: str = Field("127.0.0.1", description="Address that the service listens on.")
    port: int = Field(5000, ge=0, le=65535, description="Port that the service listens on.")
    workers: int = Field(1, ge=1, le=64, description="Worker processes of the service; each loads every model.")
    patience: int = Field(
        10, ge=1, le=600, description="Seconds that a client may take to send a request; a large one as long as it comes at 10 kB/s."
    )
    threads: int = Field(4, ge=1, le=64, description="Requests that one worker handles at a time.")
    store: Path = Field(Path("store"), description="Folder of the model store: bundles, records, serving manifest.")
    s3: str = Field("", description="URL of the bucket that holds the model store (s3://BUCKET/FOLDER); empty: the folder alone.")
    s3_endpoint: str = Field("", description="Address of a service that speaks as S3 does (http://HOST:PORT); empty: AWS.")
    mirror_mb: int = Field(
        2_000,
        ge=0,
        description="Megabytes (10^6 bytes) of bundles, readings and history that the folder keeps of what is in the bucket.",
    )
    bucket: str = Field("", validation_alias="MODEL_S3_BUCKET", description="Bucket that is meant where WATTCAST_S3 is empty.")
    region: str = Field("", validation_alias="AWS_REGION", description="Region of the bucket; empty: as AWS's own tools find it.")
    xgb_key: str = Field("", validation_alias="XGB_MODEL_KEY", description=_KEY.format("XGBoost"))
    rf_key: str = Field("", validation_alias="RF_MODEL_KEY", description=_KEY.format("random forest"))
    lgbm_key: str = Field("", validation_alias="LGBM_MODEL_KEY", description=_KEY.format("LightGBM"))
    database: str = Field(
        "", description="URL of the database of readings and forecasts (sqlite:///FILE or postgresql://...); empty: a file in the store."
    )
    open: bool = Field(False, description="Ask nobody for a key, wherever the service listens. For trials behind a wall of your own.")
    proxies: int = Field(0, ge=0, le=10, description="Trusted proxies in front of the service, whose X-Forwarded headers count.")
    limit: str = Field("600 per minute", description="Requests that one key, or one address, may make; empty: any number.")
    redis: str = Field(
        "", description="URL of a Redis that workers share counts and kept forecasts through (redis://HOST); empty: each has its own."
    )
    cache: int = Field(
        300, ge=0, le=86_400, description="Seconds that a forecast from stored readings is kept for who asks again; 0: not at all."
    )
    mlflow: str = Field(
        "",
        pattern=r"^(|https?://.+|sqlite:///.+)$",
        description="Where MLflow keeps what runs of the pipeline made (http://HOST:PORT or sqlite:///FILE); empty: nowhere.",
    )
    logs: Literal["auto", "json", "quiet"] = Field(
        "auto", description="json: a line for each request on stderr; quiet: faults alone; auto: quiet on a terminal, else json."
    )
    keep_readings_days: int = Field(0, ge=0, description="Days that readings which arrived are kept for; 0: for ever.")
    keep_forecasts_days: int = Field(0, ge=0, description="Days that forecasts given out are kept for; 0: for ever.")
    promote_winners: bool = Field(
        False, description="Have registry compare promote a challenger that won, and end the challenge of one that lost."
    )
    poll: float = Field(
        3.0, ge=0, le=3_600, description="Seconds between looks for newly published models; 0: only when told (POST /api/v1/admin/refresh)."
    )
    signing_key: Path | Literal[""] = Field(
        "", description="File of the private key that signs models when they are registered; empty: nothing is signed."
    )
    trusted_keys: str = Field(
        "",
        description="Files of public keys, separated by commas: what none of them signed is refused; empty: signatures are not looked at.",
    )
    signature_days: int = Field(0, ge=0, le=36_500, description="Days that a signature holds; 0: for ever.")
    meter: str = Field("", description="Meter that the page shows first; empty for the one registered last.")

    @field_validator("xgb_key", "rf_key", "lgbm_key")
    @classmethod
    def _no_pickle(cls, key: str, info: ValidationInfo) -> str:
        if key.lower().endswith(_PICKLES):
            variable = variable_of(str(info.field_name))
            raise BadParams(f"{variable}={key} names a pickle", "pickles are retrained, never converted: make run, then unset the variable")
        return key

    @field_validator("trusted_keys")
    @classmethod
    def _names_some(cls, names: str) -> str:
        if names and not names.replace(",", "").strip():
            raise BadParams(f'WATTCAST_TRUSTED_KEYS="{names}" names no file', "name the .pub files, or unset it: then nothing is verified")
        return names

    @model_validator(mode="after")
    def _all_workers_look(self) -> Settings:
        if self.poll == 0 and self.workers > 1:
            said = f"WATTCAST_POLL=0 with WATTCAST_WORKERS={self.workers}: what tells one worker to look does not reach the others"
            raise BadParams(said, "give WATTCAST_POLL seconds, or have one worker")
        return self

    @property
    def s3_url(self) -> str:
        """The bucket that is meant, empty for the folder alone."""
        return self.s3 or (f"s3://{self.bucket}" if self.bucket else "")

    @property
    def model_keys(self) -> dict[str, str]:
        """Variable -> the file in the bucket that it names, for those that are set."""
        return {variable_of(name): getattr(self, name) for name in ("xgb_key", "rf_key", "lgbm_key") if getattr(self, name)}

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the service, and no proxy lets others in."""
        return self.host in _LOOPBACK and self.proxies == 0

    @property
    def database_url(self) -> str:
        """The database that is meant, with the default filled in."""
        return self.database or f"sqlite:///{self.store / 'wattcast.db'}"

    @property
    def trusted_key_files(self) -> tuple[Path, ...]:
        """The files of the public keys that are trusted; none where signatures are not looked at."""
        return tuple(Path(name.strip()) for name in self.trusted_keys.split(",") if name.strip())


def variable_of(name: str) -> str:
    """The environment variable of a setting: WATTCAST_..., or what the original project called it."""
    return str(Settings.model_fields[name].validation_alias or f"WATTCAST_{name}".upper())


def load_settings() -> Settings:
    """The settings of the environment. Raises BadParams naming the variable."""
    known = [variable for variable in map(variable_of, Settings.model_fields) if variable.startswith("WATTCAST_")]
    # Likeness is asked for beyond the first letters, which all of them share.
    for name in sorted(os.environ):
        if name.upper().startswith("WATTCAST_") and name.upper() not in (*known, _NO_SETTING):
            raise BadParams(f"unknown variable {name}{nearest(name.upper(), known, 0.91)}", "correct the environment variable, or unset it")
    try:
        return Settings()
    except ValidationError as cause:
        fault = cause.errors()[0]
        name = "WATTCAST_" + "_".join(str(part) for part in fault["loc"]).upper()
        raise BadParams(f"{name}={fault['input']}: {fault['msg']}", "correct the environment variable, or unset it") from cause
