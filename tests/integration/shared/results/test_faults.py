"""Backends that refuse, forget, hang or die: a transient error or 'gone', never other rows and never half of them."""

import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from shared.errors import ResultsGone, ResultsUnavailable
from shared.results.files import FileResults
from shared.results.memcached import MemcachedResults
from shared.results.port import Backend
from shared.results.redis import RedisResults
from shared.results.s3 import S3Results
from shared.results.sets import ResultSets
from tests.harness import Memcached, Redis, SeaweedFS, wait_until
from tests.harness.seaweedfs import ACCESS_KEY, SECRET_KEY

MIB = 2**20


def noise(count: int, seed: int = 0) -> pa.RecordBatch:
    """1 KiB a row that no codec makes smaller."""
    source = random.Random(seed)
    return pa.record_batch({"noise": pa.array([source.randbytes(1024) for _ in range(count)])})


def keep(sets: ResultSets, batch: pa.RecordBatch, key: str = "k") -> None:
    with sets.writer(key, batch.schema, 600) as writer:
        writer.add(batch)
        writer.commit()


def over(backend: Backend) -> ResultSets:
    return ResultSets(backend, max_bytes=256 * MIB)


def s3(server: SeaweedFS, secret: str = SECRET_KEY) -> ResultSets:
    url = f"s3://results/faults?endpoint={server.endpoint}&region=us-east-1"
    return over(S3Results(url, access_key=ACCESS_KEY, secret_key=secret))


@pytest.fixture
def full_redis() -> Iterator[Redis]:
    with Redis(maxmemory="8mb") as server:  # of which Redis itself takes one or two
        yield server


def test_a_redis_that_is_full_refuses_and_keeps_nothing_of_it(full_redis: Redis) -> None:
    sets = over(RedisResults(full_redis.url, "r_"))
    keep(sets, noise(100), "small")
    with pytest.raises(ResultsUnavailable, match="maxmemory"):
        keep(sets, noise(20_000), "large")
    assert sets.head("small").rows == 100
    assert full_redis.command("KEYS", "r_large*") == []
    sets.close()


def test_a_redis_that_evicts_is_found_out_before_the_head_is_written() -> None:
    with Redis(maxmemory="32mb", **{"maxmemory-policy": "allkeys-lru"}) as server:
        sets = over(RedisResults(server.url, "r_"))
        with pytest.raises(ResultsUnavailable, match="did not keep part"):
            keep(sets, noise(40_000))
        with pytest.raises(ResultsGone):
            sets.head("k")
        sets.close()


def test_what_memcached_evicts_is_found_out_or_gone_and_never_half() -> None:
    with Memcached(memory_mb=16) as server:
        sets = over(MemcachedResults([("127.0.0.1", server.port)], "r_"))
        keep(sets, noise(5_000), "first")
        with pytest.raises(ResultsUnavailable, match="did not keep part"):
            keep(sets, noise(40_000), "second")
        with pytest.raises(ResultsGone):
            list(sets.batches("first"))
        sets.close()


def test_a_memcached_that_was_restarted_has_forgotten_all(own_memcached: Memcached) -> None:
    sets = over(MemcachedResults([("127.0.0.1", own_memcached.port)], "r_"))
    keep(sets, noise(5_000))
    own_memcached.restart()
    with pytest.raises(ResultsGone):
        sets.page("k", 0, 10)
    sets.close()


def test_a_memcached_that_dies_between_two_chunks_is_unavailable_and_well_again_later(
    own_memcached: Memcached,
) -> None:
    sets = over(MemcachedResults([("127.0.0.1", own_memcached.port)], "r_"))
    keep(sets, noise(20_000))
    reading = sets.batches("k")
    next(reading)
    own_memcached.kill9()
    with pytest.raises(ResultsUnavailable, match=rf"{own_memcached.port}.*VITRINE_RESULTS_URL"):
        next(reading)
    with pytest.raises(ResultsUnavailable):
        keep(sets, noise(10))
    own_memcached.start()
    keep(sets, noise(10))
    assert sets.head("k").rows == 10
    sets.close()


def test_a_redis_that_dies_is_unavailable_and_well_again_later(own_redis: Redis) -> None:
    sets = over(RedisResults(own_redis.url, "r_"))
    keep(sets, noise(10))
    own_redis.kill9()
    with pytest.raises(ResultsUnavailable, match=rf"127\.0\.0\.1:{own_redis.port}"):
        sets.head("k")
    with pytest.raises(ResultsUnavailable):
        keep(sets, noise(10_000))
    own_redis.start()
    keep(sets, noise(10))
    sets.close()


def test_a_wrong_password_of_redis_is_told_and_not_shown() -> None:
    with Redis(requirepass="right-one") as server:
        sets = over(RedisResults(server.url.replace("right-one", "hunter2"), "r_"))
        with pytest.raises(ResultsUnavailable, match=r"(?i)password") as caught:
            keep(sets, noise(1))
        assert "hunter2" not in str(caught.value)
        sets.close()
        sets = over(RedisResults(server.url, "r_"))
        keep(sets, noise(1))
        sets.close()


def test_a_wrong_key_of_s3_is_told_and_not_shown(seaweedfs: SeaweedFS) -> None:
    sets = s3(seaweedfs, secret="hunter2-hunter2-hunter2")
    with pytest.raises(ResultsUnavailable, match="SignatureDoesNotMatch") as caught:
        keep(sets, noise(1))
    assert "hunter2" not in str(caught.value)
    assert ACCESS_KEY not in str(caught.value)
    sets.close()


def test_a_bucket_that_is_not_there_is_no_missing_result(seaweedfs: SeaweedFS) -> None:
    url = f"s3://nowhere/x?endpoint={seaweedfs.endpoint}&region=us-east-1"
    sets = over(S3Results(url, access_key=ACCESS_KEY, secret_key=SECRET_KEY))
    with pytest.raises(ResultsUnavailable, match="NoSuchBucket"):
        sets.head("k")
    sets.close()


def test_an_object_store_that_dies_is_unavailable(own_seaweedfs: SeaweedFS) -> None:
    sets = s3(own_seaweedfs)
    keep(sets, noise(10))
    own_seaweedfs.kill9()
    with pytest.raises(ResultsUnavailable, match="s3://results at"):
        sets.head("k")
    sets.close()


def test_a_sweep_of_s3_removes_what_has_ended_and_what_a_dead_process_left(
    seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"s3://results/sweep?endpoint={seaweedfs.endpoint}&region=us-east-1"
    backend = S3Results(url, access_key=ACCESS_KEY, secret_key=SECRET_KEY)
    sets = over(backend)
    backend.put("orphan/a.0.0", b"left by a killed process", 60)
    keep(sets, noise(10), "old")
    with sets.writer("stays", noise(1).schema, 86_400) as writer:
        writer.add(noise(1))
        writer.commit()
    old = sets.head("old").names(0)
    now = wait_until(lambda: sets.head("old").expires_at.timestamp() + 3700, 5, "the head")
    monkeypatch.setattr("shared.results.s3.time.time", lambda: now)
    backend.sweep()
    monkeypatch.undo()
    assert [backend.get(name) for name in ["orphan/a.0.0", "old/head", *old]] == [None] * (2 + len(old))
    assert sets.page("stays", 0, 1).num_rows == 1
    sets.close()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    sets = over(FileResults(tmp_path / "file" / "results"))
    with pytest.raises(ResultsUnavailable, match=r"results folder .*file/results.*Not a directory"):
        keep(sets, noise(1))
    sets.close()


def test_a_sweep_of_files_removes_what_has_ended_and_old_drafts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = over(FileResults(tmp_path))
    backend = FileResults(tmp_path)
    keep(sets, noise(10), "old")
    backend.put("stays/head", b"v", 86_400)
    draft = next(tmp_path.rglob("head")).with_name("x.draft")
    draft.write_bytes(b"left by a killed process")
    now = draft.stat().st_mtime + 3700
    monkeypatch.setattr("shared.results.files.time.time", lambda: now)
    backend.sweep()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["head"]
    assert backend.get("stays/head") == b"v"
    sets.close()
