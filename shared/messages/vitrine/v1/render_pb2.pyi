import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TargetKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TARGET_KIND_UNSPECIFIED: _ClassVar[TargetKind]
    TARGET_KIND_CHART: _ClassVar[TargetKind]
    TARGET_KIND_DASHBOARD: _ClassVar[TargetKind]

class Format(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FORMAT_UNSPECIFIED: _ClassVar[Format]
    FORMAT_PNG: _ClassVar[Format]
    FORMAT_WEBP: _ClassVar[Format]
    FORMAT_PDF: _ClassVar[Format]

class Origin(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORIGIN_UNSPECIFIED: _ClassVar[Origin]
    ORIGIN_VIEWER: _ClassVar[Origin]
    ORIGIN_REFRESH: _ClassVar[Origin]
    ORIGIN_OPERATOR: _ClassVar[Origin]
TARGET_KIND_UNSPECIFIED: TargetKind
TARGET_KIND_CHART: TargetKind
TARGET_KIND_DASHBOARD: TargetKind
FORMAT_UNSPECIFIED: Format
FORMAT_PNG: Format
FORMAT_WEBP: Format
FORMAT_PDF: Format
ORIGIN_UNSPECIFIED: Origin
ORIGIN_VIEWER: Origin
ORIGIN_REFRESH: Origin
ORIGIN_OPERATOR: Origin

class Target(_message.Message):
    __slots__ = ("catalog", "kind", "id")
    CATALOG_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    catalog: str
    kind: TargetKind
    id: str
    def __init__(self, catalog: _Optional[str] = ..., kind: _Optional[_Union[TargetKind, str]] = ..., id: _Optional[str] = ...) -> None: ...

class Size(_message.Message):
    __slots__ = ("width", "height")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class UrlParam(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class ViewState(_message.Message):
    __slots__ = ("data_mask", "active_tabs", "anchor", "url_params")
    DATA_MASK_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_TABS_FIELD_NUMBER: _ClassVar[int]
    ANCHOR_FIELD_NUMBER: _ClassVar[int]
    URL_PARAMS_FIELD_NUMBER: _ClassVar[int]
    data_mask: str
    active_tabs: _containers.RepeatedScalarFieldContainer[str]
    anchor: str
    url_params: _containers.RepeatedCompositeFieldContainer[UrlParam]
    def __init__(self, data_mask: _Optional[str] = ..., active_tabs: _Optional[_Iterable[str]] = ..., anchor: _Optional[str] = ..., url_params: _Optional[_Iterable[_Union[UrlParam, _Mapping]]] = ...) -> None: ...

class RenderRequest(_message.Message):
    __slots__ = ("version", "id", "target", "executor", "key", "generation", "digest", "view_state", "window", "thumbnail", "formats", "deadline", "published_at", "correlation_id", "origin")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    EXECUTOR_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    VIEW_STATE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    THUMBNAIL_FIELD_NUMBER: _ClassVar[int]
    FORMATS_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_AT_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    version: int
    id: str
    target: Target
    executor: str
    key: str
    generation: int
    digest: str
    view_state: ViewState
    window: Size
    thumbnail: Size
    formats: _containers.RepeatedScalarFieldContainer[Format]
    deadline: _timestamp_pb2.Timestamp
    published_at: _timestamp_pb2.Timestamp
    correlation_id: str
    origin: Origin
    def __init__(self, version: _Optional[int] = ..., id: _Optional[str] = ..., target: _Optional[_Union[Target, _Mapping]] = ..., executor: _Optional[str] = ..., key: _Optional[str] = ..., generation: _Optional[int] = ..., digest: _Optional[str] = ..., view_state: _Optional[_Union[ViewState, _Mapping]] = ..., window: _Optional[_Union[Size, _Mapping]] = ..., thumbnail: _Optional[_Union[Size, _Mapping]] = ..., formats: _Optional[_Iterable[_Union[Format, str]]] = ..., deadline: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., published_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., correlation_id: _Optional[str] = ..., origin: _Optional[_Union[Origin, str]] = ...) -> None: ...
