"""What a chart's SQL may consist of. Default deny: a construct or function that is not listed is refused.

sqlglot's own name for a function is the same in each dialect, so one list serves all; functions that it has no name
for are listed by dialect. Nothing here reads files, the network, the catalog of the database, or settings; nothing
returns tables. What analysts may use beyond it is in shared/sqllab/allowed.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from shared.catalog.sql_text import refuse

_CONSTRUCTS = """
    Alias Aliases All And Any AtTimeZone Between BitwiseAnd BitwiseLeftShift BitwiseNot BitwiseOr
    BitwiseRightShift BitwiseXor Boolean Bracket CTE Case Collate Column Cube DPipe DataType DataTypeParam
    Distinct Div EQ Escape Except Fetch Filter From GT GTE Glob Group GroupingSets Having HexString ILike
    Identifier IgnoreNulls In IntDiv Intersect Interval IntervalSpan Is JSONKeyValue JSONPath JSONPathKey
    JSONPathRoot JSONPathSubscript JSONPathWildcard Join LT LTE Lateral Like Limit Literal Mod Mul NEQ Neg Not
    Null NullSafeEQ NullSafeNEQ Offset Or Order Ordered Paren RawString RespectNulls Rollup Select SimilarTo
    Slice Star Sub Add Subquery Table TableAlias Tuple Union Values Var Where Window WindowSpec With WithinGroup
"""
_FUNCTIONS = """
    Abs Acos Acosh AnyValue ArgMax ArgMin Array ArrayAgg ArrayConcat ArrayContains ArrayDistinct ArrayPosition
    ArraySize ArrayToString Ascii Asin Asinh Atan Atan2 Atanh Avg BitLength BitwiseAndAgg BitwiseCount
    BitwiseOrAgg BitwiseXorAgg Case Cast Cbrt Ceil Chr Coalesce Concat ConcatWs Corr Cos Cosh Cot Count CountIf
    CovarPop CovarSamp CumeDist CurrentDate CurrentDatetime CurrentTime CurrentTimestamp Date DateAdd DateBin
    DateDiff DateFromParts DateSub DateTrunc Datetime Day DayOfMonth DayOfWeek DayOfYear Dayname Degrees
    DenseRank Elt Exists Exp Extract First FirstValue Floor Format Greatest GroupConcat Grouping Hex Hour If
    Initcap IsInf IsNan JSONArray JSONArrayAgg JSONBExtract JSONBExtractScalar JSONBObjectAgg JSONCast
    JSONExtract JSONExtractScalar JSONKeys JSONObject JSONObjectAgg JSONType JustifyDays JustifyHours
    JustifyInterval Kurtosis Lag Last LastDay LastValue Lead Least Left Length Levenshtein Ln Localtime
    Localtimestamp Log LogicalAnd LogicalOr Lower MD5 MakeInterval MapKeys Max Median Min Minute Mode Month
    Monthname NthValue Ntile Nullif NumberToStr Nvl2 Overlay Pad ParseJSON PercentRank PercentileCont
    PercentileDisc Pi Pow Quarter Radians Rank RegexpCount RegexpExtract RegexpILike RegexpInstr RegexpLike
    RegexpReplace RegexpSubstr RegrAvgx RegrAvgy RegrCount RegrIntercept RegrR2 RegrSlope RegrSxx RegrSxy
    RegrSyy Replace Reverse Right Round RowNumber SHA SHA2 Second Sign Sin Sinh Skewness Soundex Space Split
    SplitPart Sqrt StartsWith Stddev StddevPop StddevSamp StrPosition StrToDate StrToTime StringToArray Struct
    StructExtract Stuff Substring SubstringIndex Sum Tan Tanh Time TimeDiff TimeFromParts TimeStrToDate
    TimeStrToTime TimeToStr TimeToUnix TimeTrunc Timestamp TimestampAdd TimestampDiff TimestampFromParts
    TimestampTrunc ToChar ToDays ToNumber Translate Trim Trunc TryCast TsOrDsAdd TsOrDsDiff TsOrDsToDate
    TsOrDsToTime TsOrDsToTimestamp Typeof Unhex Unicode UnixToTime Upper Variance VariancePop Week WidthBucket
    Xor Year
"""
_NAMED = {
    "sqlite": """
        acos acosh asin asinh atan atan2 atanh char concat concat_ws cosh date datetime degrees exp format group_concat
        hex if ifnull iif instr json json_array json_array_length json_extract json_group_array json_group_object
        json_object json_quote json_type json_valid julianday likely log log10 log2 ltrim median mod octet_length
        percentile percentile_cont percentile_disc printf quote radians rtrim sign sinh soundex stddev strftime
        string_agg substr substring tanh time timediff total trim trunc unhex unicode unixepoch unlikely
    """,
    "postgres": """
        age array_agg array_length array_position array_to_string bit_and bit_or bit_xor bool_and bool_or btrim
        cardinality ceiling char_length concat_ws date_bin date_part div every extract format gcd isfinite
        json_agg json_array_length json_build_array json_build_object json_extract_path_text json_object_agg json_typeof
        jsonb_agg jsonb_array_length jsonb_build_array jsonb_build_object jsonb_extract_path_text jsonb_object_agg
        jsonb_typeof justify_days justify_hours justify_interval lcm left log10 lpad ltrim make_date make_interval
        make_time make_timestamp make_timestamptz md5 num_nonnulls num_nulls octet_length overlay percentile_cont
        percentile_disc position regexp_count regexp_instr regexp_like regexp_match regexp_substr reverse right row
        row_to_json rpad rtrim scale split_part sqrt starts_with strpos to_char to_date to_json to_jsonb to_number
        to_timestamp translate trim_scale trunc
    """,
    "duckdb": """
        age arg_max arg_min array_extract array_length bit_and bit_length bit_or bit_xor bool_and bool_or century
        concat_ws date_part datepart dayname decade epoch epoch_ms epoch_us equi_width_bins entropy even favg
        format fsum gcd hash histogram isfinite jaccard jaro_similarity json_array json_array_length json_keys
        json_object json_type json_valid kurtosis lcm len levenshtein list_aggregate list_concat list_contains
        list_distinct list_element list_extract list_position list_reverse list_slice list_sort list_sum list_unique
        list_value ltrim mad make_date make_time make_timestamp map_extract map_keys map_values median mode monthname
        nfc_normalize ord printf product quantile_cont quantile_disc regexp_matches rtrim sem skewness stem
        strftime string_split strip_accents strlen strptime struct_extract struct_pack time_bucket to_days to_hours
        to_json to_minutes to_months to_seconds to_timestamp to_years trim typeof weekday yearweek
    """,
    "mysql": """
        adddate bit_and bit_count bit_length bit_or bit_xor char_length character_length conv crc32 date_format datediff
        dayname elt field find_in_set from_days insert inet_aton inet_ntoa instr isnull json_array json_array_length
        json_contains json_contains_path json_depth json_keys json_length json_object json_objectagg json_quote
        json_search json_type json_unquote json_valid lcase locate log10 log2 ltrim makedate maketime microsecond mid
        monthname oct octet_length ord period_add period_diff quote rtrim sec_to_time sha sha1 sha2 soundex
        space std strcmp subdate substring_index time_to_sec timestamp to_days to_seconds truncate ucase unix_timestamp
        weekday yearweek
    """,
}


def _classes(names: str) -> frozenset[type[exp.Expr]]:
    return frozenset(getattr(exp, name) for name in names.split())


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a kind of query may consist of: nodes of the tree, and functions by their names in each dialect."""

    nodes: frozenset[type[exp.Expr]]
    named: Mapping[str, frozenset[str]]
    tables: Mapping[str, frozenset[str]] = field(default_factory=dict)  # functions that may stand in place of a table

    def more(self, nodes: str, named: Mapping[str, str], tables: Mapping[str, str]) -> Allowed:
        """This and more: names separated by spaces."""
        return Allowed(self.nodes | _classes(nodes), _joined(self.named, named), _joined(self.tables, tables))

    def is_table_function(self, node: exp.Expr, dialect: str) -> bool:
        name = node.name if isinstance(node, exp.Anonymous) else _TABLE_FUNCTIONS.get(type(node), "")
        return name.lower() in self.tables.get(dialect, ())


def _joined(some: Mapping[str, frozenset[str]], more: Mapping[str, str]) -> dict[str, frozenset[str]]:
    keys = some.keys() | more.keys()
    return {dialect: some.get(dialect, frozenset()) | frozenset(more.get(dialect, "").split()) for dialect in keys}


_TABLE_FUNCTIONS: dict[type[exp.Expr], str] = {
    exp.GenerateSeries: "generate_series",
    exp.ExplodingGenerateSeries: "generate_series",
}
CHARTS = Allowed(
    _classes(_CONSTRUCTS) | _classes(_FUNCTIONS),
    {dialect: frozenset(names.split()) for dialect, names in _NAMED.items()},
)
# What the generator writes down as it stands must be a word or a number: sqlglot takes the text in
# EXTRACT("…" FROM day) and its like for a keyword, whatever it is, and would write it without its quotes.
_WORD = re.compile(r"[\w$]*|CURRENT ROW|NO OTHERS|DO NOTHING|DO UPDATE", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?")
_JSON_KEY = re.compile(r"[\w$ .:/@#+-]*")
_FIELDS = (exp.Dot, exp.StructExtract)  # PostgreSQL reads (x).f as f(x), for any function f of one argument
_TABLE_PARTS = frozenset({"this", "db", "alias", "joins"})


def check_node(node: exp.Expr, dialect: str, allowed: Allowed = CHARTS) -> None:
    """Raises QueryRefused when this node (not its children) is none that the query may use."""
    kind = type(node)
    if kind in (exp.Anonymous, exp.AnonymousAggFunc):
        if node.name.lower() not in allowed.named[dialect] or not isinstance(node.this, str):
            raise refuse(f"the function {node.name.lower()} is not one that queries may use", node)
    elif dialect == "postgres" and kind in _FIELDS:
        raise refuse("a field of a value is not allowed", node)
    elif kind not in allowed.nodes:
        raise refuse(f"{_readable(node)} is not allowed", node)
    elif kind is exp.Table:
        _check_table(node, dialect, allowed)
    elif check := _CHECKS.get(kind):
        check(node)
    for value in node.args.values():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and not _is_plain(node, text):
                raise refuse(f"{text[:40]!r} is no word that may stand in a query", node)


def _is_plain(node: exp.Expr, text: str) -> bool:
    """Whether a text that is part of a node is quoted when it is written, or needs no quotes."""
    if isinstance(node, exp.RawString) or (isinstance(node, exp.Identifier) and node.args.get("quoted")):
        return True
    if isinstance(node, exp.Literal):
        return bool(node.is_string) or _NUMBER.fullmatch(text) is not None
    if isinstance(node, exp.JSONPathKey):
        return _JSON_KEY.fullmatch(text) is not None
    return _WORD.fullmatch(text) is not None


def _readable(node: exp.Expr) -> str:
    return f"the function {node.sql_name().lower()}" if isinstance(node, exp.Func) else type(node).__name__.upper()


def _check_table(node: exp.Expr, dialect: str, allowed: Allowed) -> None:
    function = allowed.is_table_function(node.this, dialect)
    if not function and not isinstance(node.this, exp.Identifier):
        raise refuse("that function in place of a table is not allowed", node)
    parts = _TABLE_PARTS - {"db"} if function else _TABLE_PARTS
    extra = [name for name, value in node.args.items() if value and name not in parts]
    if extra:
        raise refuse(f"{extra[0].upper()} of a table is not allowed", node)


def _check_select(node: exp.Expr) -> None:
    if not node.expressions:
        raise refuse("it selects nothing", node)


def _check_in(node: exp.Expr) -> None:
    # SQLite reads `x IN name` as a table of that name, which would go past its rules.
    if node.args.get("field") or node.args.get("unnest"):
        raise refuse("IN needs a list or a subquery in parentheses", node)


def _check_type(node: exp.Expr) -> None:
    if not isinstance(node.this, exp.DType) or node.this in (exp.DType.USERDEFINED, exp.DType.UNKNOWN):
        raise refuse("only built-in types are allowed", node)


def _check_lateral(node: exp.Expr) -> None:
    if not isinstance(node.this, exp.Subquery):
        raise refuse("LATERAL is allowed for a subquery only", node)


_CHECKS: dict[type[exp.Expr], Callable[[exp.Expr], None]] = {
    exp.Select: _check_select,
    exp.In: _check_in,
    exp.DataType: _check_type,
    exp.Lateral: _check_lateral,
}
