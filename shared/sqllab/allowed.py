"""What analysts' SQL may consist of beyond a chart's: more functions, functions in place of tables, writes at the root.

Default deny, as in shared/catalog/sql_allowed.py. A function is listed when it computes from its arguments alone: none
reads files, the network, the database's catalog, settings or secrets, runs a text as SQL, or changes the session. What
may stand in place of a table is listed apart: DuckDB has functions there (histogram, query_table) that take the name of
a table as an argument, and would go past its rules.
"""

from __future__ import annotations

from shared.catalog.sql_allowed import CHARTS, Allowed

_READS = """
    Columns Comprehension Dot Kwarg Lambda LimitOptions National PropertyEQ Qualify
    ApproxDistinct ApproxQuantile ArrayAll ArrayAny ArrayAppend ArrayConcatAgg ArrayContainedBy ArrayContainsAll
    ArrayExcept ArrayFilter ArrayFirst ArrayIntersect ArrayLast ArrayMax ArrayMin ArrayOverlaps ArrayPrepend ArrayRemove
    ArrayReverse ArraySlice ArraySort ArraySum ArrayUniqueAgg ByteLength Contains ConvertTimezone DateFromUnixDate
    DateStrToDate DateToDateStr DatetimeAdd DatetimeDiff DatetimeSub DatetimeTrunc DayOfWeekIso Decode Encode EndsWith
    Explode ExplodingGenerateSeries Factorial Flatten FromBase64 GenerateDateArray GenerateSeries GenerateTimestampArray
    GroupingId IsAscii JSONArrayContains JSONBContains JSONBContainsAllTopKeys JSONBContainsAnyTopKeys
    JSONBContainsTopKey JSONBDeleteAtPath JSONBExists JSONExists JSONExtractArray JSONFormat JSONRemove JSONSet
    JSONStripNulls JSONValueArray JarowinklerSimilarity List LowerHex MD5Digest Map MapFromEntries MapSize MonthsBetween
    Quantile Rand RegexpExtractAll RegexpFullMatch RegexpSplit Repeat SHA1Digest SHA2Digest StrToMap StrToUnix TimeAdd
    TimeStrToUnix TimeSub TimeToTimeStr TimestampSub ToArray ToBase64 ToMap Transform TsOrDiToDi TsOrDsToDateStr
    TsOrDsToDatetime UnixDate UnixMicros UnixMillis UnixSeconds UnixToStr UnixToTimeStr Unnest UtcDate UtcTime
    UtcTimestamp Uuid WeekOfYear WeekStart YearOfWeek YearOfWeekIso
"""
_NAMED = {
    "sqlite": """
        json_each json_insert json_patch json_pretty json_remove json_replace json_set json_tree likelihood random
        sqlite_version
    """,
    "postgres": """
        array_append array_cat array_dims array_lower array_ndims array_positions array_prepend array_remove
        array_replace array_upper bit_length clock_timestamp daterange decode encode factorial gen_random_uuid
        generate_series generate_subscripts int4range int8range isempty json_array_elements json_array_elements_text
        json_each json_each_text json_extract_path json_object_keys jsonb_array_elements jsonb_array_elements_text
        jsonb_each jsonb_each_text jsonb_extract_path jsonb_insert jsonb_object_keys jsonb_path_exists jsonb_path_match
        jsonb_path_query jsonb_path_query_array jsonb_path_query_first jsonb_pretty jsonb_set jsonb_strip_nulls
        lower_inc lower_inf min_scale now numrange pg_sleep pg_typeof phraseto_tsquery plainto_tsquery random
        regexp_matches regexp_split_to_array regexp_split_to_table sha224 sha256 sha384 sha512 statement_timestamp
        string_to_array string_to_table timezone to_tsquery to_tsvector transaction_timestamp ts_headline ts_rank
        ts_rank_cd tsrange tstzrange unnest upper_inc upper_inf version websearch_to_tsquery
    """,
    "duckdb": """
        any_value approx_count_distinct approx_quantile array_agg array_concat array_contains array_distinct
        array_position array_slice array_sort array_to_json array_unique ascii bar bit_count cardinality chr contains
        count_if damerau_levenshtein date_add date_diff date_sub date_trunc dayofmonth dayofweek dayofyear editdist3
        ends_with epoch_ns era flatten format_bytes from_base64 from_json gamma gen_random_uuid generate_series
        get_current_timestamp greatest_common_divisor group_concat hamming hour instr isodow isoyear
        jaro_winkler_similarity json_contains json_each json_exists json_extract json_extract_string json_group_array
        json_group_object json_group_structure json_merge_patch json_structure json_transform json_tree julian last_day
        least_common_multiple levenshtein lgamma list list_aggr list_filter list_grade_up list_has list_has_all
        list_has_any list_intersect list_reduce list_resize list_reverse_sort list_transform list_where list_zip lpad
        make_timestamptz map map_concat map_contains map_entries map_from_entries max_by md5 microsecond millennium
        millisecond min_by minute month now nextafter position prefix quantile quarter random range regexp_extract
        regexp_extract_all regexp_full_match regexp_split_to_array repeat reservoir_quantile reverse row row_to_json
        rpad second sha1 sha256 split split_part starts_with str_split str_split_regex string_agg string_split_regex
        struct_insert suffix timezone to_base64 to_centuries to_decades to_microseconds to_millennia to_milliseconds
        to_weeks today try_strptime unicode unnest url_decode url_encode uuid version week weekofyear year
    """,
    "mysql": """
        any_value bin bin_to_uuid char convert_tz export_set format from_base64 inet6_aton inet6_ntoa is_ipv4 is_ipv6
        json_array_append json_array_insert json_arrayagg json_insert json_merge_patch json_merge_preserve json_overlaps
        json_pretty json_remove json_replace json_set json_value lpad make_set now rand regexp_instr regexp_like
        regexp_replace regexp_substr repeat reverse rpad sleep sysdate to_base64 utc_date utc_time utc_timestamp uuid
        uuid_to_bin version week weekofyear
    """,
}
_TABLES = {
    "sqlite": "json_each json_tree",
    "postgres": """
        generate_series generate_subscripts json_array_elements json_array_elements_text json_each json_each_text
        json_object_keys jsonb_array_elements jsonb_array_elements_text jsonb_each jsonb_each_text jsonb_object_keys
        jsonb_path_query regexp_matches regexp_split_to_table string_to_table
    """,
    "duckdb": "generate_series json_each json_tree range",
    "mysql": "",
}
_WRITES = """
    ColumnConstraint ColumnDef Create DefaultColumnConstraint Delete Drop IndexParameters Insert
    NotNullColumnConstraint OnConflict PrimaryKeyColumnConstraint Returning Schema UniqueColumnConstraint Update
"""

READS: Allowed = CHARTS.more(_READS, _NAMED, _TABLES)
WRITES: Allowed = READS.more(_WRITES, {}, {})
