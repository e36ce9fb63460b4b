"""docs/reference/http.md, from services/api/openapi.yaml and the routes' policies."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from reference_markdown import row

from services.api.policy import Policy
from services.api.resources.openapi import FILE, load_document

SOURCE = "services/api/openapi.yaml"
INTRO = """\
# HTTP

Every route of the gateway's API, as its OpenAPI document has it; the same document is at `/api/v1/_openapi` and, to be
read and tried, at `/docs/` of each gateway. With examples: [HTTP by example](../http.md). What an error's `code` means:
[Errors](errors.md).

*Who* may use a route: **anyone**; **people** who are logged in (what they see there, the catalog decides); **pages**:
people, or the renderer reading pages as an executor; an **admin**, or a program with a service token of the scope that
is named.
"""
WHO = {
    Policy.ANYONE: "anyone",
    Policy.PAGES: "pages",
    Policy.PEOPLE: "people",
    Policy.NEAR: "this machine, and the networks of `VITRINE_METRICS_NETWORKS`",
}
PROBLEM = "#/components/responses/Problem"
METHODS = ("get", "post", "put", "patch", "delete")


def page() -> str:
    document = load_document()
    lines = [INTRO]
    policies = _policies()
    for tag in _tags(document):
        lines += [f"## {tag.capitalize()}", ""]
        for path, item in document["paths"].items():
            for method in METHODS:
                if method in item and tag in item[method]["tags"]:
                    parameters = [*item.get("parameters", []), *item[method].get("parameters", [])]
                    lines += _operation(document, method, path, item[method], parameters, policies)
    lines += ["## Objects", ""]
    for name, schema in document["components"]["schemas"].items():
        lines += _object(document, name, schema)
    return "\n".join(lines).rstrip() + "\n"


def _tags(document: dict[str, Any]) -> list[str]:
    declared = [tag["name"] for tag in document["tags"]]
    used = {tag for item in document["paths"].values() for m in METHODS if m in item for tag in item[m]["tags"]}
    return declared + sorted(used - set(declared))


def _operation(
    document: dict[str, Any],
    method: str,
    path: str,
    operation: dict[str, Any],
    parameters: list[dict[str, Any]],
    policies: dict[str, str],
) -> list[str]:
    who = policies.get(re.sub(r"\{\w+\}", "{}", path.rstrip("/")), "")
    lines = [f"### {method.upper()} {path}", "", f"{operation['summary'].rstrip('.')}. *Who:* {who or '–'}.", ""]
    if description := operation.get("description"):
        lines += [" ".join(description.split()), ""]
    asked = [_parameter(_resolved(document, one)) for one in parameters]
    asked += _body(document, operation)
    if asked:
        lines += ["| asked with | in | type | meaning |", "|---|---|---|---|", *asked, ""]
    lines += ["| answer | meaning |", "|---|---|"]
    problems = [status for status, answer in operation["responses"].items() if answer.get("$ref") == PROBLEM]
    for status, answer in operation["responses"].items():
        if status not in problems:
            lines.append(row(status, _answer(document, answer)))
    if problems:
        lines.append(row(", ".join(problems), "[Problem](#problem)"))
    return [*lines, ""]


def _answer(document: dict[str, Any], answer: dict[str, Any]) -> str:
    found = _resolved(document, answer)
    kinds = list(found.get("content", {}))
    schema = next(iter(found.get("content", {}).values()), {}).get("schema", {})
    of = f" {_type(document, schema)}" if "$ref" in schema else ""
    return f"{found['description']} ({', '.join(kinds)}{of})" if kinds else str(found["description"])


def _parameter(parameter: dict[str, Any]) -> str:
    needed = " (required)" if parameter.get("required") and parameter["in"] != "path" else ""
    return row(
        f"`{parameter['name']}`",
        parameter["in"],
        _type({}, parameter.get("schema", {})),
        f"{parameter.get('description', '')}{needed}",
    )


def _body(document: dict[str, Any], operation: dict[str, Any]) -> list[str]:
    rows = []
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(document, content.get("schema", {}))
        for name, field in schema.get("properties", {}).items():
            needed = " (required)" if name in schema.get("required", ()) else ""
            rows.append(row(f"`{name}`", "body", _type(document, field), f"{field.get('description', '')}{needed}"))
        if not schema.get("properties"):
            rows.append(row("–", "body", kind, schema.get("description", "")))
    return rows


def _object(document: dict[str, Any], name: str, schema: dict[str, Any]) -> list[str]:
    lines = [f"### {name}", ""]
    if description := schema.get("description"):
        lines += [" ".join(description.split()), ""]
    if properties := schema.get("properties"):
        lines += ["| field | type | meaning |", "|---|---|---|"]
        for field, value in properties.items():
            lines.append(row(f"`{field}`", _type(document, value), _resolved(document, value).get("description", "")))
        lines.append("")
    return lines


def _type(document: dict[str, Any], schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    kind = schema.get("type", "any")
    words = " or ".join(kind) if isinstance(kind, list) else kind
    if kind == "array":
        words = f"list of {_type(document, schema.get('items', {}))}"
    if "enum" in schema:
        words = " or ".join("null" if value is None else f"`{value}`" for value in schema["enum"])
    return words if "default" not in schema else f"{words}, default `{json.dumps(schema['default'])}`"


def _resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        found = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def _policies() -> dict[str, str]:
    """Path with bare {} → who may use it, as services/api/app.py says it."""
    module = ast.parse((FILE.parent / "app.py").read_text(encoding="utf-8"))
    found = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Tuple) and len(node.elts) == 3 and isinstance(node.elts[2], ast.Attribute):
            policy = Policy[node.elts[2].attr]
            path = ast.unparse(node.elts[0]).strip("f'\"")
            path = path.replace("{API}", "/api/v1").replace("{DASHBOARD_SCREENSHOT}", "cache_dashboard_screenshot")
            scope = f"admin, or the scope `{policy.scope}`" if policy.scope else policy.name.lower()
            found[re.sub(r"\{+[\w:]+\}+", "{}", path.rstrip("/"))] = WHO.get(policy, scope)
    return found
