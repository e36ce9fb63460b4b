"""`vitrine query` where nothing but the files of an installation is there."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator

import pyarrow.parquet
import pytest

from tests.harness.polling import wait_until
from tests.harness.process import ManagedProcess
from tests.harness.stack import PYTHON, ROOT, Stack

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


@pytest.fixture(scope="module")
def alone() -> Iterator[Stack]:
    """Nothing runs."""
    with Stack() as stack:
        yield stack


def test_rows_come_as_a_table_as_csv_and_as_parquet(alone: Stack) -> None:
    query = ("query", "run", "SELECT 1 AS one, 'é' AS text", "--database", "shop")
    done = alone.vitrine(*query)
    assert (done.returncode, done.stdout.splitlines()[0].split()) == (0, ["one", "text"]), done.stderr
    assert alone.vitrine(*query, "--format", "csv").stdout == '"one","text"\n1,"é"\n'
    file = alone.folder / "rows.parquet"
    assert alone.vitrine(*query, "--format", "parquet", "--output", str(file)).returncode == 0
    assert pyarrow.parquet.read_table(file).to_pylist() == [{"one": 1, "text": "é"}]


def test_a_person_s_rows_are_theirs_and_the_history_tells_them_again(alone: Stack) -> None:
    done = alone.vitrine("query", "run", "SELECT DISTINCT region FROM sales", "-d", "shop", "-u", "nora", "-f", "csv")
    assert done.stdout == '"region"\n"North"\n', done.stderr
    listed = alone.vitrine("query", "list", "--user", "nora").stdout
    number = listed.split()[0]
    assert "success" in listed
    assert alone.vitrine("query", "rows", number, "-f", "csv").stdout == done.stdout


def test_what_is_wrong_is_one_line(alone: Stack) -> None:
    failed = alone.vitrine("query", "run", "SELECT\n nosuch FROM sales", "-d", "shop")
    assert failed.returncode == 1
    assert re.fullmatch(r"vitrine: failed: .*nosuch.* \(line 2, column 2\)\n", failed.stderr), failed.stderr
    for words, name in (
        (("run", "SELECT 1", "-d", "nowhere"), "--database"),
        (("run", "SELECT 1", "-d", "shop", "-u", "nobody"), "--user"),
        (("run", "SELECT 1", "-d", "shop", "-f", "xls"), "--format"),
        (("list", "--status", "lost"), "--status"),
    ):
        done = alone.vitrine("query", *words)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
        assert name in done.stderr


def test_ctrl_c_stops_it_in_the_database(alone: Stack, spawn: Callable[..., ManagedProcess]) -> None:
    words = [*PYTHON, "services.cli", "query", "run", ENDLESS, "-d", "shop"]
    process = spawn(words, name="query", env=alone.environment, cwd=ROOT)
    running = "SELECT id FROM queries WHERE status = 'running'"
    ((number,),) = wait_until(lambda: alone.rows(running), 60, "a running query")
    process.send(signal.SIGINT)
    assert process.wait(60) == 1
    assert alone.rows(f"SELECT status FROM queries WHERE id = {number}") == [("stopped",)]
    assert "stopped" in process.log


def test_one_that_is_left_to_others_can_be_stopped_before_it_begins(alone: Stack) -> None:
    left = alone.vitrine("query", "run", "SELECT 1", "-d", "shop", "--async")
    number, client_id = left.stdout.split()
    assert alone.vitrine("query", "stop", client_id).stdout.startswith(f"{number} stopped")
