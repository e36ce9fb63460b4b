"""Queries of all shapes over sales, weather and what is hidden, and texts that try to break out of their quotes."""

from __future__ import annotations

from hypothesis import strategies as st

EVIL = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="'\"\\;-/*()%$?:`[]\n\0 eE=1", max_size=40),
    st.sampled_from(
        [
            "' OR 1=1 --",
            "'); DROP TABLE sales; --",
            "\\' OR 1=1 --",
            "$$x$$",
            "%s",
            "\\",
            "''",
            "Europe' UNION SELECT 'secret",
        ]
    ),
)

TABLE = st.sampled_from(
    ["sales", "main.sales", "SALES s", '"sales" AS "weather"', "weather", "weather AS sales", "x", "(sales)"]
)
NAME = st.sampled_from(["sales", "weather", "x", "secret", '"Sales"'])
SHAPES = [
    "select * from {t}",
    "select * from {t} join {u} on 1 = 1",
    "select * from ({t} cross join {u})",
    "select * from {t} natural join {u}, {t}",
    "select * from ({q}) as {n}",
    "select max(region) from ({q}) as {n}",
    "select region from {t} where region in (select region from {u})",
    "select region from {t} where region in {n}",
    "select (select max(region) from {t}) as region from {u}",
    "select 1 as id, 'x' as region where exists ({q})",
    "{q} union all select * from {t}",
    "select * from {t} except {q}",
    "with {n} as ({q}) select * from {t}",
    "with {n} as ({q}) {r}",
    "with recursive {n} as (select * from {t} union {q}) select * from {u}",
    "select case when exists ({q}) then (select min(region) from {t}) end as region from {u} order by ({r})",
]


def _deeper(inner):
    return st.builds(
        lambda shape, **parts: shape.format(**parts),
        st.sampled_from(SHAPES),
        t=TABLE,
        u=TABLE,
        n=NAME,
        q=inner,
        r=inner,
    )


QUERY = st.recursive(st.builds("select id, region from {}".format, TABLE), _deeper, max_leaves=6)
