"""Settings of the audit lines and of the records of access: where they go, and
for how long they are kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from cerebro.runtime.settings import BasicSettings

_URL_SHAPE = (
    "must be postgresql://user:password@host:port/database; a character such "
    "as @ or / in user or password is written as %40 or %2F"
)


class RecordsSettings(BasicSettings):
    """Where the records of access go. `cerebro records` reads them too."""

    records: Literal["stdout", "file", "postgresql", "off"] = Field(
        default="stdout",
        description="Where each grant and each end of access is recorded.",
    )
    records_file: Path = Field(
        default=Path("data/access.jsonl"),
        description="File of CEREBRO_RECORDS=file, a JSON object a line; opened anew when it was moved.",
    )
    records_url: SecretStr | None = Field(
        default=None,
        description="The PostgreSQL of CEREBRO_RECORDS=postgresql; the bridge makes its tables.",
    )
    records_tls: bool = Field(
        default=True,
        description="Speak TLS to that PostgreSQL, and verify its certificate and its name.",
    )
    records_ca: Path | None = Field(
        default=None,
        description="File of the authorities that it is verified by. Default: the system's.",
    )
    records_days: int = Field(
        default=365,
        ge=0,
        le=36_500,
        description="Days after its end for which an access stays in the PostgreSQL; 0: for ever.",
    )

    @field_validator("records", mode="before")
    @classmethod
    def _lower_kind(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("records_url")
    @classmethod
    def _is_a_database(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None

        try:
            parts = urlsplit(value.get_secret_value())
        except ValueError:
            raise ValueError(_URL_SHAPE) from None

        if parts.scheme not in ("postgres", "postgresql") or not parts.netloc:
            raise ValueError(_URL_SHAPE)

        return value

    @model_validator(mode="after")
    def _has_a_database(self) -> Self:
        if self.records == "postgresql" and self.records_url is None:
            raise ValueError(
                "CEREBRO_RECORDS_URL: must be set, for CEREBRO_RECORDS is postgresql"
            )

        if self.records_ca is not None and not self.records_ca.is_file():
            raise ValueError("CEREBRO_RECORDS_CA: must be a file that exists")

        return self


class AuditSettings(RecordsSettings):
    """Where audit lines go."""

    audit: Literal["stdout", "file", "off"] = Field(
        default="stdout",
        description="Where the bridge writes a line for each of its decisions.",
    )
    audit_file: Path = Field(
        default=Path("data/audit.jsonl"),
        description="File of CEREBRO_AUDIT=file; opened anew when it was moved.",
    )
    audit_file_bytes: int = Field(
        default=100 * 1024 * 1024,
        ge=0,
        description="Size from which that file becomes `<name>.1`; 0: never.",
    )
    audit_files: int = Field(
        default=5,
        ge=1,
        le=1000,
        description="How many former files there are at most.",
    )

    @field_validator("audit", mode="before")
    @classmethod
    def _lower_place(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value
