"""Questions to PostgreSQL's own catalog."""

SCHEMAS = """
SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
AND has_schema_privilege(oid, 'USAGE') ORDER BY nspname
"""
TABLES = """
SELECT relname, relkind IN ('v', 'm') FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(%s))
AND relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT relispartition AND has_table_privilege(oid, 'SELECT')
ORDER BY relname LIMIT 10000
"""
COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = to_regclass(quote_ident(%s) || '.' || quote_ident(%s)) AND attnum > 0 AND NOT attisdropped
ORDER BY attnum
"""
OURSELVES = (  # what KILL finds: a process id may be another session's by then
    "SELECT pid || '@' || extract(epoch FROM backend_start) FROM pg_stat_get_activity(pg_backend_pid())"
)
KILL = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid || '@' || extract(epoch FROM backend_start) = %s"
)
