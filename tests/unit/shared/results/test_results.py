"""Which backend the settings choose, and what they are told when they choose none."""

from pathlib import Path
from typing import Any

import pytest

from shared.errors import InvalidInput
from shared.results import open_results, results_url
from shared.settings import Settings, load
from tests.unit.shared.results.conftest import keep, rows

AMQP = "amqp://guest:guest@127.0.0.1:5672/"


def settings(tmp_path: Path, url: str = "", **others: Any) -> Settings:
    return load(secret_key="J3n-8sWq0!zR5tYv2xLp7Kd4Hf6Gb9Mc", state_dir=tmp_path, results_url=url, **others)


def test_unset_is_a_folder_in_the_state_dir(tmp_path: Path) -> None:
    results = open_results(settings(tmp_path))
    keep(results, rows(10))
    assert list((tmp_path / "results").rglob("head"))
    assert open_results(settings(tmp_path)).head("k").rows == 10
    results.close()


def test_unset_with_a_memcached_store_is_that_memcached(tmp_path: Path) -> None:
    assert results_url(settings(tmp_path, store_url="memcached://a:1,b:2")) == "memcached://a:1,b:2"


def test_a_folder_s_name_may_have_blanks(tmp_path: Path) -> None:
    results = open_results(settings(tmp_path, (tmp_path / "my results").as_uri()))
    keep(results, rows(1))
    assert (tmp_path / "my results").is_dir()
    results.close()


def test_memory_is_one_backend_for_one_process(tmp_path: Path) -> None:
    keep(open_results(settings(tmp_path, "memory://")), rows(10))
    assert open_results(settings(tmp_path, "memory://")).head("k").rows == 10


def test_memory_is_refused_where_workers_are_other_processes(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"VITRINE_RESULTS_URL: memory:// is the memory of one process.*take memc"):
        open_results(settings(tmp_path, "memory://", broker_url=AMQP))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://h/x", r"ftp:// is no results backend; there are memcached://, "),
        ("file://var/results", "three slashes"),
        ("file:///", "three slashes"),
        ("memcached://", "without a user or a path"),
        ("memcached://h:port", "no HOST:PORT"),
    ],
)
def test_a_url_that_names_no_backend_is_refused(tmp_path: Path, url: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=f"^VITRINE_RESULTS_URL: .*{why}"):
        open_results(settings(tmp_path, url))


@pytest.mark.parametrize("url", ["redis", "://x", "redis://h/0?password=hunter2", "s3://b?secret_key=hunter2"])
def test_a_malformed_url_is_refused_and_not_shown(tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidInput, match="VITRINE_RESULTS_URL: must") as caught:
        settings(tmp_path, url)
    assert "hunter2" not in str(caught.value)


def test_passwords_are_masked(tmp_path: Path) -> None:
    chosen = settings(
        tmp_path, "redis://ann:hunter2@h:6379/0", results_s3_secret_key="hunter3", results_s3_access_key="AK"
    )
    assert chosen.masked()["results_url"] == "redis://***@h:6379/0"
    assert "hunter" not in str(chosen.masked())


def test_json_is_a_switch(tmp_path: Path) -> None:
    results = open_results(settings(tmp_path, results_use_msgpack=False))
    keep(results, rows(10))
    (head,) = (tmp_path / "results").rglob("head")
    assert head.read_text().startswith('{"v": 1, "format": "json"')
    results.close()
