"""A SELECT ends after one row more than the limit, unless it ends sooner by itself."""

from __future__ import annotations

from sqlglot import exp


def limited(tree: exp.Expr, limit: int) -> tuple[exp.Expr, bool]:
    """The query with limit + 1 rows at most, and whether that limit is ours: its own is kept where it is smaller."""
    while isinstance(tree, exp.Subquery) and not any(value for name, value in tree.args.items() if name != "this"):
        tree = tree.this  # parentheses around it all, which SQLite does not know
    own = tree.args.get("limit")
    if own is None or _is_all(own):
        tree.set("limit", _limit(limit + 1))
        return tree, True
    rows = _rows(own)
    if rows is None:  # an expression, a share, ties: what it comes to is known only when it runs
        alias = exp.TableAlias(this=exp.to_identifier("_query", quoted=True))
        inner = exp.Subquery(this=tree, alias=alias)
        return exp.select("*").from_(inner, copy=False).limit(limit + 1, copy=False), True
    if rows > limit:
        tree.set("limit", _limit(limit + 1))
        return tree, True
    return tree, False


def _limit(rows: int) -> exp.Limit:
    return exp.Limit(expression=exp.Literal.number(rows))


def _is_all(own: exp.Expr) -> bool:
    said = own.args.get("expression")
    return isinstance(own, exp.Limit) and (
        isinstance(said, exp.Null) or (isinstance(said, exp.Var) and said.name.upper() == "ALL")
    )


def _rows(own: exp.Expr) -> int | None:
    """The number of rows that a LIMIT or FETCH says, if it is a plain number."""
    said = own.args.get("count") if isinstance(own, exp.Fetch) else own.args.get("expression")
    options = own.args.get("limit_options")
    if options is not None and (options.args.get("percent") or options.args.get("with_ties")):
        return None
    if isinstance(own, exp.Limit) and (own.args.get("expressions") or own.args.get("offset")):
        return None
    text = said.name if isinstance(said, exp.Literal) and not said.is_string else ""
    return int(text) if text.isdecimal() else None
