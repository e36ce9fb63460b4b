"""docs/reference/messages.md, from proto/ with its comments."""

from __future__ import annotations

import json
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorSet
from grpc_tools import protoc
from reference_markdown import row

ROOT = Path(__file__).parents[1]
SOURCE = "proto/vitrine/v1/*.proto"
INTRO = """\
# Messages

What the gateway, the command line and the scheduler send to the renderers, as proto3 JSON inside Dramatiq's own JSON
envelope: RabbitMQ's pages show it readably. How the schema may change, and what becomes of a version that a worker does
not know, stands in `proto/README.md`; each message has golden examples in `proto/examples/`.
"""
MESSAGE, ENUM = 4, 5  # field numbers of FileDescriptorProto, in the paths of comments
FIELD, VALUE = 2, 2


def page() -> str:
    lines = [INTRO]
    for file in _files():
        comments = {tuple(at.path): _comment(at) for at in file.source_code_info.location}
        syntax = next(at for at in file.source_code_info.location if tuple(at.path) == (12,))
        about = " ".join(" ".join(syntax.leading_comments.split()).split(" Evolution")[0].split())
        lines += [f"## {Path(file.name).name}", "", about, ""]
        for number, message in enumerate(file.message_type):
            lines += _message(message, comments, (MESSAGE, number))
        for number, enum in enumerate(file.enum_type):
            lines += [f"### {enum.name}", "", comments.get((ENUM, number), ""), "", "| value | meaning |", "|---|---|"]
            lines += [
                row(f"`{value.name}`", comments.get((ENUM, number, VALUE, i), "")) for i, value in enumerate(enum.value)
            ]
            lines.append("")
    lines += _examples()
    return "\n".join(lines).rstrip() + "\n"


def _message(message: DescriptorProto, comments: dict[tuple[int, ...], str], place: tuple[int, ...]) -> list[str]:
    lines = [f"### {message.name}", ""]
    if about := comments.get(place):
        lines += [about, ""]
    lines += ["| field | number | type | meaning |", "|---|---|---|---|"]
    for i, field in enumerate(message.field):
        name, meaning = f"`{field.name}`", comments.get((*place, FIELD, i), "")
        lines.append(row(name, field.number, _type(field), meaning))
    return [*lines, ""]


def _type(field: FieldDescriptorProto) -> str:
    name = field.type_name.removeprefix(".")
    if name.startswith("vitrine.v1."):
        name = name.removeprefix("vitrine.v1.")
        word = f"[{name}](#{name.lower()})"
    else:
        word = name or FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    return f"list of {word}" if field.label == FieldDescriptorProto.LABEL_REPEATED else word


def _files() -> Any:
    folder = ROOT / "proto"
    sources = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.proto"))
    known = resources.files("grpc_tools") / "_proto"
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "set"
        words = ["protoc", f"-I{folder}", f"-I{known}", f"--descriptor_set_out={out}", "--include_source_info"]
        if protoc.main([*words, *sources]):
            raise SystemExit("reference_messages: protoc failed")
        return FileDescriptorSet.FromString(out.read_bytes()).file


def _comment(at: Any) -> str:
    return " ".join((at.leading_comments + at.trailing_comments).split())


def _examples() -> list[str]:
    """One of each message: the first golden example."""
    lines = ["## Examples", ""]
    first: dict[str, Path] = {}
    for path in sorted((ROOT / "proto" / "examples").glob("*.json")):
        first.setdefault(path.stem.split("_")[0], path)
    for path in first.values():
        content = json.dumps(json.loads(path.read_text(encoding="utf-8")), indent=2, ensure_ascii=False)
        lines += [f"`{path.relative_to(ROOT)}`:", "", "```json", content, "```", ""]
    return lines
