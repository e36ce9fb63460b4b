"""Signing in to Superset as one of its users: by a session signed with its SECRET_KEY, or with the user's password.

Both give what a browser has after a log-in, a session cookie, which opens pages and API alike.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping

from itsdangerous import URLSafeTimedSerializer

from shared.catalog.superset.client import Client, Credential
from shared.errors import CatalogSignIn, ExecutorNotFound
from shared.kept import Kept

KEEP_S = 600  # a session is made anew after this long; Superset's own last much longer
REFUSED_S = 30  # a refused password is not tried again for so long: accounts get locked by eager machines
CSRF_FIELD = re.compile(r'name="csrf_token"[^>]*?value="([^"]+)"')


class Sessions:
    """`secret_key`: Superset's, or ""; `passwords`: user name → password; `user_id`: user name → Superset's id."""

    def __init__(
        self,
        client: Client,
        secret_key: str,
        passwords: Mapping[str, str],
        user_id: Callable[[str], int],
    ) -> None:
        self._client = client
        self._serializer = _serializer(secret_key) if secret_key else None
        self._passwords = passwords
        self._user_id = user_id
        # A lock for each user, and none for all: to sign in one of them, `user_id` may ask Superset as another.
        self._kept: Kept[str, Credential] = Kept(KEEP_S)
        self._refused: dict[str, float] = {}

    def can_sign_in(self, username: str) -> bool:
        return username in self._passwords or self._serializer is not None

    def of(self, username: str) -> Credential:
        """A session of this user. Raises ExecutorNotFound when the settings hold nothing to sign them in with,
        CatalogSignIn when Superset does not accept what they hold, CatalogUnavailable.
        """
        return self._kept.get(username, lambda: self._make(username))

    def forget(self, username: str) -> None:
        """After a 401: the next call makes a new session."""
        self._kept.forget(username)

    def _make(self, username: str) -> Credential:
        if username in self._passwords:
            return self._log_in(username)
        if self._serializer is not None:
            claims = {"_user_id": str(self._user_id(username)), "_fresh": True}
            return Credential(cookie=str(self._serializer.dumps(claims)))
        raise ExecutorNotFound(
            f"Vitrine cannot sign in to Superset as {username!r}: set VITRINE_SUPERSET_SECRET_KEY to Superset's "
            f"SECRET_KEY, or put the user's password into VITRINE_SUPERSET_PASSWORDS, or name a fixed executor "
            "(VITRINE_THUMBNAIL_EXECUTORS=FIXED:…)."
        )

    def _log_in(self, username: str) -> Credential:
        """As the log-in form does it, which works for every kind of password that Superset checks (database, LDAP)."""
        if self._refused.get(username, -REFUSED_S) + REFUSED_S > time.monotonic():
            raise _refused(username)
        form = self._client.send("GET", "/login/", Credential())
        found = CSRF_FIELD.search(form.text)
        fields = {"username": username, "password": self._passwords[username]}
        if found:
            fields["csrf_token"] = found[1]
        before = Credential(cookie=form.cookies.get(self._client.cookie_name) or "")
        headers = {"Referer": f"{self._client.origin}/login/"}
        answer = self._client.send("POST", "/login/", before, data=fields, headers=headers)
        credential = Credential(cookie=answer.cookies.get(self._client.cookie_name) or "")
        if credential.cookie and self._client.send("GET", "/api/v1/me/", credential).status_code == 200:
            self._refused.pop(username, None)
            return credential
        self._refused[username] = time.monotonic()
        raise _refused(username)


def _refused(username: str) -> CatalogSignIn:
    return CatalogSignIn(
        f"Superset does not accept the password of {username!r}; it was changed, or the account is locked or inactive. "
        "Correct it in VITRINE_SUPERSET_PASSWORDS."
    )


def _serializer(secret_key: str) -> URLSafeTimedSerializer:
    """As Flask signs its session cookie (flask.sessions.SecureCookieSessionInterface)."""
    signer = {"key_derivation": "hmac", "digest_method": hashlib.sha1}
    return URLSafeTimedSerializer(secret_key, salt="cookie-session", signer_kwargs=signer)
