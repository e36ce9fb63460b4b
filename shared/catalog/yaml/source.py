"""YAML files with the positions of their parts, so that a problem can say where it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from shared.errors import InvalidInput

Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where: `line` counts from 1, `field` is like charts[3].sql."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field + ': ' if self.field else ''}{self.message}"


class Document:
    """One file. `content` is plain Python; `root` is what a folder of files is loaded from."""

    def __init__(self, path: Path, root: Path, tree: Any) -> None:
        self.path = path
        self.root = root
        self._tree = tree
        self.content = plain(tree)

    def problem(self, location: Location, message: str) -> Problem:
        line, found = 1, ""
        node = self._tree
        for part in location:
            position = _position(node, part)
            if position is None:
                if part == location[-1] and isinstance(part, str):
                    found += f".{part}" if found else part  # a field that is missing
                continue  # a name of the model's own, such as the branch of a union
            line = position + 1
            node = node[part]
            found += f"[{part}]" if isinstance(part, int) else f".{part}" if found else part
        return Problem(str(self.path), line, found, message)

    def find_csv(self, name: str) -> Path | None:
        """A file named relative to this one, else to the folder that is loaded, else to its parent."""
        candidates = [folder / name for folder in (self.path.parent, self.root, self.root.parent)]
        return next((candidate for candidate in candidates if candidate.is_file()), None)


def read_documents(path: Path) -> tuple[list[Document], list[Problem]]:
    """The documents of a file, or of a folder's *.yaml and *.yml in the order of their names.

    Raises InvalidInput when there is nothing to read.
    """
    if path.is_dir():
        files = sorted([*path.glob("*.yaml"), *path.glob("*.yml")])
        root = path
    else:
        files, root = [path], path.parent
    if not files or not all(file.is_file() for file in files):
        raise InvalidInput(f"{path} is neither a YAML file nor a folder of YAML files.")
    documents, problems = [], []
    for file in files:
        try:
            tree = YAML(typ="rt").load(file.read_text(encoding="utf-8"))
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            problems.append(Problem(str(file), line, "", f"is no valid YAML: {error.problem or error.context}"))
        except (YAMLError, UnicodeDecodeError) as error:
            problems.append(Problem(str(file), 1, "", f"is no valid YAML: {str(error).splitlines()[0]}"))
        except RecursionError:
            problems.append(Problem(str(file), 1, "", "is no valid YAML: it is nested too deeply"))
        else:
            if isinstance(tree, CommentedMap):
                documents.append(Document(file, root, tree))
            elif tree is not None:
                problems.append(Problem(str(file), 1, "", "must be a mapping of sections"))
    return documents, problems


def plain(node: Any) -> Any:
    """Plain dicts, lists, texts and numbers; YAML's dates become ISO text, as JSON would have them."""
    match node:
        case bool() | None:
            return node
        case Mapping():
            return {str(plain(key)): plain(value) for key, value in node.items()}
        case str():
            return str(node)
        case Sequence():
            return [plain(item) for item in node]
        case int():
            return int(node)
        case float():
            return float(node)
        case date():
            return node.isoformat()
        case _:
            return str(node)


def _position(node: Any, part: str | int) -> int | None:
    """The line (from 0) of a part of a mapping or a sequence, None if it has no such part."""
    if isinstance(node, CommentedMap) and part in node:
        return int(node.lc.key(part)[0])
    if isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
        return int(node.lc.item(part)[0])
    return None
