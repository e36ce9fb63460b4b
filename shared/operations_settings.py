"""Settings of whoever looks after a Vitrine; a part of `shared.settings.Settings`."""

from __future__ import annotations

from pydantic import BaseModel, Field

from shared.setting_types import Url


class OperationsSettings(BaseModel):
    """What is looked at, and how long what was seen is kept."""

    # Operations
    broker_management_url: Url | None = Field(
        None,
        description="RabbitMQ's management API, such as http://rabbitmq:15672: tells /ops the rates of the queues and "
        "the messages in hand. Empty: /ops does without.",
    )
    otlp_endpoint: Url | None = Field(
        None,
        description="Where traces are sent, OTLP over HTTP, such as http://collector:4318. Empty: there are none.",
    )
    keep_samples_hours: int = Field(48, ge=1, le=24 * 90, description="How long the curves of /ops reach back.")
    keep_evidence_days: int = Field(
        7, ge=1, description="How long the screenshots and console lines of failed renders are kept."
    )
    keep_evidence: int = Field(300, ge=0, le=100_000, description="Of how many failed renders, at most; 0: of none.")
