"""Writes docs/reference/: settings.md, errors.md and metrics.md from the modules of the same names in shared/, http.md,
cli.md and messages.md through the modules beside this one.

`scripts/settings_reference.py [FOLDER]`: into docs/reference, or into another folder, for the test that compares.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import reference_cli
import reference_http
import reference_messages
from annotated_types import Ge, Gt, Le, Lt
from prometheus_client.metrics import MetricWrapperBase
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from services.api.errors import STATUS
from services.renderer.actors import BACKOFF_MS
from shared import errors, metrics, settings
from shared.consuming import FAILURE_OPTION
from shared.identity import ExecutorRule
from shared.network_settings import Network
from shared.remedies import REMEDIES
from shared.settings import PREFIX, Settings
from shared.targets import Size

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
NOTE = "<!-- Written by scripts/settings_reference.py (`make docs`). Do not edit: change {source} instead. -->"
DAY_S, HOUR_S = 86_400, 3_600
WORDS = {
    SecretStr: "secret",
    Size: "WIDTHxHEIGHT",
    Path: "path",
    int: "whole number",
    float: "number",
    str: "text",
    bool: "true or false",
}
URL_CHECK = get_args(settings.Url)[1]  # pydantic moves it from the annotation into the field's metadata

SETTINGS_INTRO = """\
# Settings

Each setting is an environment variable. Its value may lie in a file instead, as container engines hand out secrets:
`VITRINE_SECRET_KEY_FILE=/run/secrets/secret_key`, and so with each name (not both at once). The same names without
`VITRINE_`, in lower case, may stand in a TOML file named by `VITRINE_SETTINGS_FILE`; the environment wins over it. A
value that does not hold, or a `VITRINE_…` variable that is no setting, stops the process with one line that names it.
Each service logs its effective settings at start, with secrets and passwords masked. Give all services of one
installation the same settings.
"""

ERRORS_INTRO = f"""\
# Errors

Every failure that can be seen from outside has one of these codes: in problem JSON (`code`), in the status document of
a picture (`code` and `reason`), in a dead letter (`{FAILURE_OPTION}`), in logs and in metrics. **Permanent**: trying
again changes nothing. **Transient**: trying again may help; the renderer does so by itself, {len(BACKOFF_MS)} times,
before it gives up.

*HTTP* is what the gateway answers when it meets the error itself. A dash: it ends a render, and is read in the status
document.
"""

METRICS_INTRO = f"""\
# Metrics

Served in the Prometheus text format at `/metrics`: by the gateway at its own address, by the others at
`{PREFIX}METRICS_BIND`, on the ports `{PREFIX}RENDERER_METRICS_PORT`, `{PREFIX}WARMING_METRICS_PORT`,
`{PREFIX}QUERY_METRICS_PORT` and `{PREFIX}SCHEDULER_METRICS_PORT`. The embedded tree (`vitrine up` without a broker)
serves all of them at the gateway's address.

Times are in seconds, whatever they count is in whole things. A histogram comes as *name*`_bucket` (with the label
`le`), *name*`_sum` and *name*`_count`. The values of labels come from closed sets; error codes are those of the
[list](errors.md).
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER, help="where to write the pages")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.md").write_text(settings_page(), encoding="utf-8")
    (folder / "errors.md").write_text(errors_page(), encoding="utf-8")
    (folder / "metrics.md").write_text(metrics_page(), encoding="utf-8")
    for module in (reference_http, reference_cli, reference_messages):
        text = "\n\n".join((NOTE.format(source=module.SOURCE), module.page()))
        (folder / f"{module.__name__.removeprefix('reference_')}.md").write_text(text, encoding="utf-8")


def settings_page() -> str:
    lines = [NOTE.format(source="shared/settings.py, or a part of it"), "", SETTINGS_INTRO]
    parts = [settings, *(sys.modules[base.__module__] for base in Settings.__bases__ if base is not BaseSettings)]
    for section, names in chain.from_iterable(_sections(inspect.getsource(part), ast.AnnAssign) for part in parts):
        fields = [(name, Settings.model_fields[name]) for name in names if name in Settings.model_fields]
        if fields:
            lines += [f"## {section}", "", "| variable | type | default | meaning |", "|---|---|---|---|"]
            for name, field in fields:
                lines.append(_row(f"`{PREFIX}{name.upper()}`", _type(field), _default(name, field), field.description))
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def errors_page() -> str:
    lines = [NOTE.format(source="shared/errors.py, or shared/remedies.py"), "", ERRORS_INTRO]
    left = dict(REMEDIES)
    for section, names in _sections(inspect.getsource(errors), ast.ClassDef):
        found = [getattr(errors, name) for name in names]
        leaves = [cls for cls in found if not cls.__subclasses__()]
        if leaves:
            lines += [f"## {section}", "", "| code | kind | HTTP | meaning | what to do |", "|---|---|---|---|---|"]
            for cls in leaves:
                kind = "transient" if cls.transient else "permanent"
                status = str(int(STATUS[cls])) if cls in STATUS else "–"
                lines.append(_row(f"`{cls.code}`", kind, status, inspect.getdoc(cls), left.pop(cls.code)))
            lines.append("")
    if left:
        sys.exit(f"settings_reference: no error has the code {', '.join(left)}; remove it from shared/remedies.py")
    return "\n".join(lines).rstrip() + "\n"


def metrics_page() -> str:
    lines = [NOTE.format(source="shared/metrics.py"), "", METRICS_INTRO]
    for section, names in _sections(inspect.getsource(metrics), ast.AnnAssign):
        found = [metric for name in names if isinstance(metric := getattr(metrics, name, None), MetricWrapperBase)]
        if found:
            lines += [f"## {section}", "", "| name | type | labels | meaning |", "|---|---|---|---|"]
            lines += sorted(_metric(metric) for metric in found)
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _metric(metric: MetricWrapperBase) -> str:
    """Its row, under the name that it has at /metrics."""
    (family,) = metric.describe()
    name = f"{family.name}_total" if family.type == "counter" else family.name
    labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # the library has no public way to them
    return _row(f"`{name}`", family.type, labels or "–", family.documentation)


def _sections(source: str, kind: type[ast.AnnAssign | ast.ClassDef]) -> Iterator[tuple[str, list[str]]]:
    """Each comment that stands alone on its line, with the names defined below it; what stands above all is left out.

    Classes are looked for at the top; fields in classes, and constants at the top too.
    """
    module = ast.parse(source)
    bodies = [node for top in module.body for node in (top.body if isinstance(top, ast.ClassDef) else [top])]
    nodes = [node for node in (module.body if kind is ast.ClassDef else bodies) if isinstance(node, kind)]
    heads = [
        (number, line.strip("# ").strip())
        for number, line in enumerate(source.splitlines(), 1)
        if re.fullmatch(r"(    )?# [A-Z].*", line)
    ]
    for (start, title), (end, _) in zip(heads, [*heads[1:], (sys.maxsize, "")], strict=True):
        yield title, [_name(node) for node in nodes if start < node.lineno < end]


def _name(node: ast.AnnAssign | ast.ClassDef) -> str:
    return node.name if isinstance(node, ast.ClassDef) else ast.unparse(node.target)


def _row(*cells: str | None) -> str:
    words = (" ".join((cell or "").split()).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(words)} |"


def _type(field: FieldInfo) -> str:
    word = "URL" if URL_CHECK in field.metadata else _word(field.annotation)
    return ", ".join([word, *_bounds(field.metadata)])


def _word(annotation: Any) -> str:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return "URL" if settings.Url == annotation else _word(args[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in args)
    if origin in (Union, UnionType):
        return " or ".join("nothing" if arg is NoneType else _word(arg) for arg in args)
    if origin is tuple:
        words = {ExecutorRule: "executors", Network: "networks"}
        return f"{words.get(args[0], 'list')}, comma-separated"
    if origin is dict:
        return "JSON object of texts"
    return WORDS[annotation]


def _bounds(metadata: list[Any]) -> Iterator[str]:
    for bound in metadata:
        match bound:
            case Ge():
                yield f"≥ {bound.ge}"
            case Gt():
                yield f"> {bound.gt}"
            case Le():
                yield f"≤ {bound.le}"
            case Lt():
                yield f"< {bound.lt}"


def _default(name: str, field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value in ("", (), {}):
        return "nothing"
    text = ",".join(str(part) for part in value) if isinstance(value, tuple) else str(value)
    return f"`{text}`{_in_words(name, value)}"


def _in_words(name: str, value: Any) -> str:
    if not name.endswith("_s") or not isinstance(value, int) or value < HOUR_S:
        return ""
    unit, seconds = ("day", DAY_S) if value % DAY_S == 0 else ("hour", HOUR_S)
    return f" ({value // seconds} {unit}{'s' * (value != seconds)})" if value % seconds == 0 else ""


if __name__ == "__main__":
    main()
