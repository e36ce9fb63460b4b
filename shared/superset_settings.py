"""The settings of a Superset whose dashboards are drawn: a part of `shared.settings.Settings`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, Field, SecretStr, model_validator

from shared.setting_types import Passwords, Url


class SupersetSettings(BaseModel):
    """None by default; with `superset_url` there must be an account that reads it."""

    # Superset
    superset_url: Url | None = Field(
        None, description="Where gateway and renderer reach a Superset; empty: there is none. See docs/superset.md."
    )
    superset_username: str = Field(
        "", description="The account that reads Superset for Vitrine: lists, users, row-level rules, the log."
    )
    superset_passwords: Passwords = Field(
        {}, description='Passwords of Superset users: `{"vitrine": "…", "ann": "…"}`, the reading account among them.'
    )
    superset_secret_key: SecretStr = Field(
        SecretStr(""), description="Superset's SECRET_KEY: lets the renderer sign in as any user. It is never sent."
    )
    superset_user_id: int | None = Field(
        None, ge=1, description="Superset's id of the reading account; only where that has no password."
    )
    superset_cookie: str = Field("session", pattern=r"^[!#-+\--:<-~]+$", description="Superset's SESSION_COOKIE_NAME.")
    superset_timeout_s: float = Field(20, gt=0, le=300, description="How long Superset's API may take to answer.")
    default_catalog: Literal["native", "superset"] = Field(
        "native", description="Whose targets plain ids are, as in /api/v1/dashboard/1; others are CATALOG:ID."
    )

    @model_validator(mode="after")
    def _reader(self) -> Self:
        if self.default_catalog == "superset" and self.superset_url is None:
            raise ValueError("superset_url: is not set, and default_catalog is superset")
        if self.superset_url is None:
            return self
        if not self.superset_username:
            raise ValueError("superset_username: is not set; it names the account that reads Superset")
        signed = self.superset_secret_key.get_secret_value() and self.superset_user_id is not None
        if self.superset_username not in self.superset_passwords and not signed:
            raise ValueError(
                f"superset_passwords: has no password for {self.superset_username!r}; add it, or set "
                "superset_secret_key and superset_user_id"
            )
        return self
