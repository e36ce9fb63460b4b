"""A small catalog for tests of the gateway: one chart, a dashboard that all analysts see, a draft that only ada sees.

ada is the admin; ben and nia are analysts, nia sees the north only; guy is a guest who sees nothing.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from shared.metadata.engine import open_engine, sessions
from shared.metadata.models import Base, Chart, Dashboard, Database, Dataset, Role, RowLevelRule, User
from shared.metadata.passwords import hash_password
from shared.metadata.secrets import Keyring

PASSWORD = "correct horse"
SECRET = "f3b1c7d09a5e48826bd41cfa70e95d3812aa6c4f7be09d15"  # the secret_key of whoever reads it
PEOPLE = (
    ("ada", "Ada Admin", ["Admin"]),
    ("ben", "Ben Analyst", ["Analyst"]),
    ("nia", "Nia North", ["Analyst", "North"]),
    ("guy", "", ["Guest"]),
)
LAYOUT = {
    "tabs": [
        {"id": "main", "title": "Main", "rows": [[{"chart": 1, "width": 6, "height": 4}]]},
        {"id": "more", "title": "More", "rows": []},
    ]
}
FILTER = {
    "id": "region",
    "title": "Region",
    "type": "select",
    "dataset": "sales",
    "column": "region",
    "multiple": True,
    "default": None,
}


def make_shop(folder: Path) -> None:
    """Fills a state folder: metadata.sqlite, and shop.sqlite with the rows."""
    shop = sqlite3.connect(folder / "shop.sqlite")
    shop.execute("CREATE TABLE sales (region TEXT, amount INTEGER)")
    shop.executemany("INSERT INTO sales VALUES (?, ?)", [("north", 1), ("south", 2), ("east", 3)])
    shop.commit()
    shop.close()
    engine = open_engine(f"sqlite:///{folder / 'metadata.sqlite'}")
    Keyring([SECRET]).belong_to(engine)
    Base.metadata.create_all(engine)
    with sessions(engine).begin() as session:
        session.add_all(_objects())
    engine.dispose()


def _objects() -> list[Any]:
    roles = {name: Role(name=name) for name in ("Admin", "Analyst", "North", "Guest")}
    kept = hash_password(PASSWORD)
    people = {
        username: User(username=username, name=name, password_hash=kept, roles=[roles[role] for role in held])
        for username, name, held in PEOPLE
    }
    database = Database(name="shop", url="sqlite:///shop.sqlite")
    sales = Dataset(name="sales", table="sales", database=database, roles=[roles["Analyst"]])
    rule = RowLevelRule(name="north only", dataset=sales, clause="region = 'north'", roles=[roles["North"]])
    chart = Chart(
        slug="sales",
        title="Sales <by> region",
        database=database,
        sql="SELECT region, amount FROM sales ORDER BY region",
        kind="vega-lite",
        spec={"mark": "bar", "encoding": {"x": {"field": "region"}, "y": {"field": "amount"}}},
        datasets=[sales],
        owners=[people["ben"]],
        changed_by=people["ben"],
        tags=["money"],
    )
    board = Dashboard(
        slug="shop", title="Shop", description="All of it", published=True, layout=LAYOUT, filters=[FILTER]
    )
    board.charts, board.owners = [chart], [people["ben"]]
    draft = Dashboard(slug="draft", title="Draft", published=False, layout={"tabs": []}, filters=[])
    draft.owners = [people["ada"]]
    return [*roles.values(), *people.values(), database, sales, rule, chart, board, draft]
