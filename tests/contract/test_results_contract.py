"""What every results backend promises. One suite, run over each of them on real servers."""

from concurrent.futures import ThreadPoolExecutor

from shared.results.port import Backend
from tests.contract.conftest import OpenBackend
from tests.harness import wait_until

HEAD = "k/head"


def test_what_is_put_is_read_back_by_another_client(open_backend: OpenBackend) -> None:
    open_backend().put(HEAD, b"\r\nEND\r\n\x00\xff", 60)
    assert open_backend().get(HEAD) == b"\r\nEND\r\n\x00\xff"


def test_an_unknown_name_is_none_and_the_empty_value_is_not(backend: Backend) -> None:
    assert backend.get(HEAD) is None
    backend.put(HEAD, b"", 60)
    assert backend.get(HEAD) == b""


def test_a_second_put_replaces_the_first(backend: Backend) -> None:
    backend.put(HEAD, b"first", 60)
    backend.put(HEAD, b"second", 60)
    assert backend.get(HEAD) == b"second"


def test_the_longest_name_and_the_largest_value_are_kept(backend: Backend) -> None:
    name = f"{'k' * 80}/{'0123456789ab'}.99999.999"
    value = bytes(range(256)) * (backend.max_item_bytes // 256)
    backend.put(name, value, 60)
    assert backend.get(name) == value


def test_a_month_is_no_date(backend: Backend) -> None:
    backend.put(HEAD, b"v", 31 * 86_400)
    assert backend.get(HEAD) == b"v"


def test_what_is_deleted_is_gone_and_the_rest_stays(backend: Backend) -> None:
    for name in ("k/head", "k/a.0.0", "other/head"):
        backend.put(name, b"v", 60)
    backend.delete(["k/head", "k/a.0.0", "k/was.never.there"])
    assert [backend.get(name) for name in ("k/head", "k/a.0.0", "other/head")] == [None, None, b"v"]
    backend.delete([])


def test_a_value_outlives_its_time_neither_for_readers_nor_after_a_sweep(backend: Backend) -> None:
    backend.put("k/head", b"v", 1)
    backend.put("other/head", b"v", 60)
    wait_until(lambda: backend.get("k/head") is None, 10, "the value to end")
    backend.sweep()
    assert backend.get("other/head") == b"v"


def test_many_threads_get_their_own_answers(backend: Backend) -> None:
    values = {f"k{number}/head": b"%d" % number * number * 100 for number in range(100)}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: backend.put(name, values[name], 60), values))
        assert list(pool.map(backend.get, values)) == list(values.values())


def test_check_says_in_one_line_what_answers(backend: Backend) -> None:
    line = backend.check()
    assert line
    assert "\n" not in line
