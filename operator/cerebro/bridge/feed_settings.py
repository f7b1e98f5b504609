"""Settings of the backend's feed, under the old relay's names. Without an
address, and without a file, there is no feed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from cerebro.runtime.floors import Floor
from cerebro.runtime.settings import BasicSettings, Seconds

OLD_EVENTS_FILE = Path("events_queue.json")
"""The file that the old relay read when it had no address of a feed."""


class FeedSettings(BasicSettings):
    """Where events come from, and where ACKs go (contract 3)."""

    events_url: str | None = Field(
        default=None,
        validation_alias="BACKEND_EVENTS_URL",
        description="The backend's feed of events; it is asked every CEREBRO_POLL_INTERVAL.",
    )

    ack_url: str | None = Field(
        default=None,
        validation_alias="BACKEND_ACK_URL",
        description="Where the outcome of each event is told; none: it is told nowhere.",
    )

    backend_secret: SecretStr | None = Field(
        default=None,
        validation_alias="BACKEND_HMAC_SECRET",
        description="Key of the signatures between bridge and backend; with it the feed has to be signed.",
    )

    require_backend_hmac: bool = Field(
        default=False,
        validation_alias="BACKEND_REQUIRE_HMAC",
        description="Start only with BACKEND_HMAC_SECRET.",
    )

    ack_retries: int = Field(
        default=2,
        ge=0,
        le=100,
        validation_alias="BACKEND_ACK_RETRIES",
        description="Quick further tries of an ACK; after them it is tried more rarely, until it is taken (F3).",
    )

    ack_retry_delay_ms: Annotated[int, Field(le=60_000), Floor(10)] = Field(
        default=500,
        validation_alias="BACKEND_ACK_RETRY_DELAY_MS",
        description="Time between quick tries of an ACK.",
    )

    events_file: Path | None = Field(
        default=None,
        description="A file with a JSON array of events, read where BACKEND_EVENTS_URL is not set.",
    )

    poll_interval: Seconds = Field(
        default=3.0, description="Time between two looks at the feed."
    )

    @field_validator("events_url", "ack_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is None:
            return None

        try:
            parts = urlsplit(value.strip())
            has_host = bool(parts.hostname) and parts.port != 0
        except ValueError:
            has_host = False

        if not has_host or parts.scheme not in ("http", "https"):
            raise ValueError(
                "must be an address such as https://backend.example/relay/events"
            )

        return value.strip()

    @model_validator(mode="after")
    def _has_secret(self) -> Self:
        if self.require_backend_hmac and self.feed_secret is None:
            raise ValueError(
                "BACKEND_HMAC_SECRET: must be set, for BACKEND_REQUIRE_HMAC is on"
            )

        return self

    @property
    def feed_secret(self) -> str | None:
        """The key that is shared with the backend, None if there is none."""
        if self.backend_secret is None:
            return None

        return self.backend_secret.get_secret_value() or None

    @property
    def feed_file(self) -> Path | None:
        """The file that events are read from; None if they come over HTTP, or
        not at all.

        Where only the address for ACKs is known it is the old relay's file.
        """
        if self.events_url is not None:
            return None

        if self.events_file is None and self.ack_url is not None:
            return OLD_EVENTS_FILE

        return self.events_file

    @property
    def has_feed(self) -> bool:
        """Whether events come from anywhere."""
        return self.events_url is not None or self.feed_file is not None

    def feed_warnings(self) -> list[str]:
        """Return what a careful operator would want to know of the feed, a
        sentence each.
        """
        warnings: list[str] = []

        if self.events_url is not None and self.feed_secret is None:
            warnings.append(
                "BACKEND_HMAC_SECRET is not set: whoever answers at BACKEND_EVENTS_URL can let clients in"
            )

        if self.has_feed and self.ack_url is None:
            warnings.append(
                "BACKEND_ACK_URL is not set: the backend is told no outcome"
            )

        if self.events_url is not None and self.events_file is not None:
            warnings.append(
                "CEREBRO_EVENTS_FILE is not read: BACKEND_EVENTS_URL is set"
            )

        return warnings
