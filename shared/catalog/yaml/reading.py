"""From documents to entries: each entry is validated for itself, so that one run lists all problems."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from shared.catalog.yaml.schema import SECTIONS, VERSION
from shared.catalog.yaml.source import Document, Location, Problem


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry and where it stands."""

    entry: Any
    document: Document
    location: Location

    def problem(self, location: Location, message: str) -> Problem:
        return self.document.problem((*self.location, *location), message)


@dataclass(slots=True)
class Catalog:
    """All entries by section; `names` has also those of entries that are not valid, so that nobody else is blamed.

    `unchecked`: what could not be looked at, and why.
    """

    entries: dict[str, list[Placed]] = field(default_factory=lambda: {section: [] for section in SECTIONS})
    names: dict[str, set[str]] = field(default_factory=lambda: {section: set() for section in SECTIONS})
    unchecked: list[str] = field(default_factory=list)

    def of(self, section: str) -> list[Any]:
        return [placed.entry for placed in self.entries[section]]


def read_entries(documents: list[Document]) -> tuple[Catalog, list[Problem]]:
    catalog = Catalog()
    problems: list[Problem] = []
    for document in documents:
        problems.extend(_read(document, catalog))
    return catalog, problems


def _read(document: Document, catalog: Catalog) -> Iterator[Problem]:
    for section, content in document.content.items():
        if section == "version":
            if content != VERSION or isinstance(content, bool):
                yield document.problem((section,), f"must be {VERSION}, not {content!r}")
        elif section not in SECTIONS:
            yield document.problem((section,), f"is unknown; allowed: version, {', '.join(SECTIONS)}")
        elif content is not None and not isinstance(content, list):
            yield document.problem((section,), "must be a list")
        else:
            for index, raw in enumerate(content or []):
                yield from _read_entry(document, catalog, section, index, raw)


def _read_entry(document: Document, catalog: Catalog, section: str, index: int, raw: Any) -> Iterator[Problem]:
    model, key = SECTIONS[section]
    location = (section, index)
    name = raw.get(key) if isinstance(raw, dict) else raw
    if isinstance(name, str):
        if name in catalog.names[section]:
            yield document.problem((*location, key) if key else location, f"{name!r} stands here twice")
        catalog.names[section].add(name)
    try:
        entry = TypeAdapter(model).validate_python(raw)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            yield _problem(document, location, detail, model)
    else:
        catalog.entries[section].append(Placed(entry, document, location))


def _problem(document: Document, location: Location, detail: ErrorDetails, model: Any) -> Problem:
    where = (*location, *detail["loc"])
    match detail["type"]:
        case "missing":
            message = "is missing"
        case "extra_forbidden":
            message = f"is unknown; allowed: {', '.join(_fields(model, detail['loc'][:-1]))}"
        case "union_tag_not_found":
            where, message = (*where, "kind"), f"is missing; allowed: {_kinds(detail)}"
        case "union_tag_invalid":
            where, message = (*where, "kind"), f"must be one of {_kinds(detail)}"
        case "string_pattern_mismatch":
            message = (
                f"{detail['input']!r} has a character that is not allowed; it must match {detail['ctx']['pattern']}"
            )
        case _:
            message = detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
            message = message.replace("String should", "must").replace("List should", "must")
    return document.problem(where, message)


def _kinds(detail: ErrorDetails) -> str:
    model, _ = SECTIONS["charts"]
    return ", ".join(str(tag) for tag, _ in _tagged(model)) or str(detail["msg"])


def _fields(model: Any, location: tuple[str | int, ...]) -> list[str]:
    """The fields that the model at this place has."""
    current = model
    for part in location:
        if isinstance(part, int):
            continue
        branch = dict(_tagged(current)).get(part)
        found = _model_in(branch or current)
        current = branch or (found.model_fields[part].annotation if found and part in found.model_fields else current)
    found = _model_in(current)
    return list(found.model_fields) if found else []


def _tagged(annotation: Any) -> list[tuple[str, Any]]:
    """(kind, model) of each branch of a union of charts."""
    return [
        (get_args(model.model_fields["kind"].annotation)[0], model)
        for model in _models_in(annotation)
        if "kind" in model.model_fields and get_origin(model.model_fields["kind"].annotation) is Literal
    ]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    return next(_models_in(annotation), None)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
