"""Settings whose value lies in a file, as container engines hand out secrets: `VITRINE_<NAME>_FILE=/run/secrets/…`.

For any setting. It is never logged nor seen in the environment of a process, where `docker inspect` would show it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from shared.errors import InvalidInput

SUFFIX = "_FILE"
MAX_BYTES = 1_000_000


class FileSource(PydanticBaseSettingsSource):
    """The values that files hold; `environment` names the files."""

    def __init__(self, settings_cls: type[BaseSettings], environment: Mapping[str, str], prefix: str) -> None:
        super().__init__(settings_cls)
        self._environment = environment
        self._prefix = prefix

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The file's text, without the line's end that editors leave. Raises InvalidInput when it can't be read."""
        variable = f"{self._prefix}{field_name.upper()}"
        path = self._environment.get(variable + SUFFIX)
        if not path:
            return None, field_name, False
        if self._environment.get(variable):
            raise InvalidInput(f"{variable} and {variable}{SUFFIX} are both set; keep one.", field=field_name)
        return _text(variable + SUFFIX, Path(path), field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


def file_names(fields: Iterable[str]) -> set[str]:
    """What may stand behind the prefix, in lower case, besides the names of the settings themselves."""
    return {f"{name}{SUFFIX.lower()}" for name in fields}


def _text(variable: str, path: Path, field: str) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise InvalidInput(f"{variable} names {path}, which is larger than {MAX_BYTES:,} bytes.", field=field)
        return text.decode().rstrip("\r\n")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InvalidInput(f"{variable} names {path}, which can't be read: {reason}.", field=field) from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{variable} names {path}, which is no text in UTF-8.", field=field) from None
