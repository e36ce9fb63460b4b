"""The types of settings: what their text must look like, and what a wrong one is told. No I/O, no environment."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from shared.errors import InvalidInput
from shared.identity import ExecutorRule, parse_executors
from shared.targets import Size

MAX_PORT = 65_535
MIN_SECRET_CHARACTERS = 32
DEFAULT_SECRETS = (
    "changeme",
    "change-me",
    "change_me",
    "secret",
    "your-secret",
    "vitrine",
    "example",
    "0123456789",
    "thisismy",
    "replace",
)
EMBEDDED_BROKER = "embedded://"


def _size(value: Any) -> Any:
    if isinstance(value, str):
        try:
            width, height = (int(part) for part in value.lower().split("x"))
            return Size(width, height)
        except (ValueError, InvalidInput) as error:
            raise ValueError(f"must be WIDTHxHEIGHT in pixels, such as 1600x1200, not {value!r}") from error
    return value


def _executors(value: Any) -> Any:
    try:
        return parse_executors(value) if isinstance(value, str) else value
    except InvalidInput as error:
        raise ValueError(error.message) from error


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _origin(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return value.rstrip("/")


def _place(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not (host and port.isascii() and port.isdecimal() and 1 <= int(port) <= MAX_PORT):
        raise ValueError("must be HOST:PORT, such as 127.0.0.1:8088")
    return value


def _broker(value: str) -> str:
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("amqp", "amqps") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number; its text may hold the password
        good = False
    if not good and value != EMBEDDED_BROKER:
        raise ValueError(f"must be amqp://USER:PASSWORD@HOST:PORT/VHOST, or {EMBEDDED_BROKER}")
    return value


def _database(value: str) -> str:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(value or "sqlite://")
    except (ArgumentError, ValueError):  # whose text may hold the password
        raise ValueError("must be postgresql://USER:PASSWORD@HOST/NAME or sqlite:///FILE") from None
    return value


def _passwords(value: Any) -> Any:
    try:
        value = json.loads(value) if isinstance(value, str) and value else value or {}
    except ValueError:
        value = None
    if not isinstance(value, dict) or not all(isinstance(word, (str, SecretStr)) for word in value.values()):
        raise ValueError('must be a JSON object of names and secrets, such as {"vitrine": "…"}')
    return value


def _store(value: str) -> str:
    if not re.fullmatch(r"memcached://.+|disk://|memory://\S*", value):
        raise ValueError("must be memcached://HOST:PORT[,HOST:PORT…], disk:// or memory://")
    return value


def _strong(value: SecretStr) -> SecretStr:
    secret = value.get_secret_value()
    if len(secret) < MIN_SECRET_CHARACTERS:
        raise ValueError(f"must have at least {MIN_SECRET_CHARACTERS} characters; make one with: openssl rand -hex 32")
    if len(set(secret)) < 8 or any(secret.lower().startswith(word) for word in DEFAULT_SECRETS):
        raise ValueError("is a default or guessable secret; make one with: openssl rand -hex 32")
    return value


def _secrets(value: Any) -> Any:
    return tuple(map(SecretStr, _split(value))) if isinstance(value, str) else value


def _all_strong(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    return tuple(map(_strong, value))


StrongSecret = Annotated[SecretStr, AfterValidator(_strong)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_secrets), AfterValidator(_all_strong)]
Url = Annotated[str, AfterValidator(_origin)]
Place = Annotated[str, AfterValidator(_place)]
BrokerUrl = Annotated[str, AfterValidator(_broker)]
DatabaseUrl = Annotated[str, AfterValidator(_database)]
StoreUrl = Annotated[str, AfterValidator(_store)]
SizeSetting = Annotated[Size, NoDecode, BeforeValidator(_size)]
Executors = Annotated[tuple[ExecutorRule, ...], NoDecode, BeforeValidator(_executors)]
Passwords = Annotated[dict[str, SecretStr], NoDecode, BeforeValidator(_passwords)]
Hosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
