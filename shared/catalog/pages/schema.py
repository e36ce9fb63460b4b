"""The form of a pages file: pages of any web application, each with how it is opened and when it is complete."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError, model_validator

from shared.catalog.yaml.source import read_documents
from shared.errors import InvalidInput

SLUG = r"^[a-z][a-z0-9-]{0,99}$"
PARAMETER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
SECRET = re.compile(r"\$\{([A-Za-z][A-Za-z0-9_]*)\}")
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
HostPort = Annotated[str, StringConstraints(pattern=r"^[^\s:/]+:[0-9]{1,5}$")]
Dimensions = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{1,4}x[1-9][0-9]{1,4}$")]


class Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Form(Entry):
    """A log-in form that works without scripts; its hidden fields are sent along."""

    url: Text
    fields: dict[str, Text] = Field(min_length=1)


class SignIn(Entry):
    """One or several of them. `${NAME}` in a value is a secret of VITRINE_PAGES_SECRETS."""

    headers: dict[str, Text] = {}
    cookies: dict[str, Text] = {}
    bearer: Text | None = None
    form: Form | None = None


class PageEntry(Entry):
    id: Annotated[str, StringConstraints(pattern=SLUG)]
    title: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    url: Text
    kind: Literal["dashboard", "chart"] = "dashboard"
    description: str = Field("", max_length=2000)
    parameters: dict[str, str] = {}
    ready: str = "body"
    expression: str = ""
    spinner: str = ""
    login: str = "input[type=password]"
    error: str = ""
    window: Dimensions | None = None
    tags: list[Text] = []
    roles: list[Text] = []
    hosts: list[HostPort] = []
    sign_in: SignIn = SignIn()

    @model_validator(mode="after")
    def _complete(self) -> PageEntry:
        for url in (self.url, *([self.sign_in.form.url] if self.sign_in.form else [])):
            parts = urlsplit(PARAMETER.sub("x", url))
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError(f"{url!r} is no address: it must begin with http:// or https:// and name a host")
            if "{" in url.split("/", 3)[2]:
                raise ValueError("a parameter must not stand in the host of an address")
        form = self.sign_in.form
        if form is not None and urlsplit(form.url)[:2] != urlsplit(self.url)[:2]:
            raise ValueError("sign_in.form.url must be of the same origin as url: credentials go nowhere else")
        unknown = set(PARAMETER.findall(self.url)) - set(self.parameters)
        if unknown:
            raise ValueError(f"url names {{{min(unknown)}}}, which has no default under parameters")
        return self


def read_pages(path: Path, secrets: Mapping[str, str]) -> list[PageEntry]:
    """Raises InvalidInput with the first problem, its file, line and field, and how many more there are."""
    documents, problems = read_documents(path)
    entries: list[PageEntry] = []
    for document in documents:
        for section, content in document.content.items():
            if section != "pages" or not isinstance(content, list):
                problems.append(document.problem((section,), "is unknown; a pages file has one list, `pages`"))
                continue
            for index, raw in enumerate(content):
                location = (section, index)
                try:
                    entry = TypeAdapter(PageEntry).validate_python(raw)
                except ValidationError as error:
                    for one in error.errors(include_input=False, include_url=False):
                        message = one["msg"].removeprefix("Value error, ")
                        problems.append(document.problem((*location, *one["loc"]), message))
                    continue
                missing = sorted(set(SECRET.findall(entry.sign_in.model_dump_json())) - set(secrets))
                if missing:
                    message = f"there is no secret {missing[0]!r} in VITRINE_PAGES_SECRETS"
                    problems.append(document.problem((*location, "sign_in"), message))
                if entry.id in {one.id for one in entries}:
                    problems.append(document.problem((*location, "id"), f"{entry.id!r} is taken"))
                entries.append(entry)
    if problems:
        more = f" ({len(problems) - 1} more problems)" if len(problems) > 1 else ""
        raise InvalidInput(f"{problems[0]}{more}", field="pages_file")
    return entries


def with_secrets(value: str, secrets: Mapping[str, str]) -> str:
    return SECRET.sub(lambda match: secrets[match[1]], value)


def model_values(entry: PageEntry, given: Mapping[str, str]) -> dict[str, Any]:
    """Each parameter of the address: as given, else its default."""
    return {name: given.get(name, default) for name, default in entry.parameters.items()}
