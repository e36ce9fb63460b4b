"""The settings of the results backend: a part of `shared.settings.Settings`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, SecretStr

_FORM = re.compile(r"[a-z][a-z0-9+.-]*://\S*")
_PASSWORD = re.compile(r"(?<=://)[^/]*@")


def _results(value: str) -> str:
    if value and not _FORM.fullmatch(value):  # whose text may hold a password
        raise ValueError("must be SCHEME://…, such as redis://HOST:PORT/0, s3://BUCKET/PREFIX or file:///FOLDER")
    if re.search(r"[?&][^=&]*(password|secret|token)[^=&]*=", value, re.IGNORECASE):
        raise ValueError("must not hold a secret after the ?, where it would not be masked")
    return value


def mask(url: str) -> str:
    """The URL without user and password."""
    return _PASSWORD.sub("***@", url)


ResultsUrl = Annotated[str, AfterValidator(_results)]


class ResultsSettings(BaseModel):
    """Where the rows of long queries are kept, and how."""

    # Results
    results_url: ResultsUrl = Field(
        "",
        description="Where the rows of long queries are kept: memcached://, redis://, rediss://, s3://, file:///, "
        "memory:// or a scheme of your own; see docs/queries.md. Empty: the store's Memcached, else results/ in "
        "state_dir.",
    )
    results_prefix: str = Field(
        "vitrine_results_",
        max_length=100,
        pattern=r"^[!-~]*$",
        description="Prefix of every key in Memcached or Redis.",
    )
    results_use_msgpack: bool = Field(
        True, description="MessagePack with Arrow IPC; off: JSON, which more programs read, slower and larger."
    )
    results_ttl_s: int = Field(86_400, ge=60, description="How long the rows of a query are kept.")
    results_max_mib: int = Field(
        1024, ge=1, le=1024 * 1024, description="The largest result set, compressed; a larger one is an error."
    )
    results_s3_access_key: str = Field(
        "", description="Access key id for s3://; empty: what the AWS_… environment or the machine's role gives."
    )
    results_s3_secret_key: SecretStr = Field(SecretStr(""), description="The secret of that access key.")
