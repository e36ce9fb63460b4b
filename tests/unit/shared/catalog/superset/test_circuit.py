"""A circuit opens after failures in a row, tries again with one call, and says so in the metrics."""

from contextlib import suppress

import pytest
from prometheus_client import REGISTRY

from shared.catalog.superset.circuit import Circuit
from shared.errors import CatalogUnavailable, NotFound


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def circuit(clock):
    return Circuit("testing", failures=3, pause_s=5, max_pause_s=15, clock=clock)


def fail(circuit):
    with pytest.raises(CatalogUnavailable, match="it is down"), circuit.call():
        raise CatalogUnavailable("it is down")


def is_open():
    return REGISTRY.get_sample_value("vitrine_catalog_circuit_open", {"catalog": "testing"}) == 1


def test_it_opens_after_failures_in_a_row_and_refuses_at_once(circuit):
    for _ in range(3):
        assert not is_open()
        fail(circuit)
    assert is_open()
    with pytest.raises(CatalogUnavailable, match="left alone for 5 s"), circuit.call():
        pytest.fail("the call must not be made")


def test_an_answer_in_between_counts_from_the_beginning_also_when_it_says_no(circuit):
    for _ in range(2):
        fail(circuit)
    with pytest.raises(NotFound), circuit.call():
        raise NotFound("there is none")
    for _ in range(2):
        fail(circuit)
    assert not is_open()


def test_one_call_tries_after_the_pause_and_closes_it(circuit, clock):
    for _ in range(3):
        fail(circuit)
    clock.now = 6
    with circuit.call(), pytest.raises(CatalogUnavailable, match="left alone"), circuit.call():
        pytest.fail("only one call tries")
    assert not is_open()
    with circuit.call():
        pass


def test_what_says_nothing_of_the_origin_neither_opens_nor_closes_it(circuit, clock):
    def leave():
        with suppress(CatalogUnavailable), circuit.call() as call:
            call.counts = False
            raise CatalogUnavailable("no room")

    for _ in range(5):
        leave()
    assert not is_open()
    for _ in range(2):
        fail(circuit)
    leave()
    fail(circuit)
    assert is_open(), "it forgot no failure either"
    clock.now = 6
    leave()
    assert is_open()
    with circuit.call():
        pass
    assert not is_open(), "the call after it tries"


def test_a_failed_try_doubles_the_pause_up_to_its_limit(circuit, clock):
    for _ in range(3):
        fail(circuit)
    for pause in (10, 15, 15):
        clock.now += 16
        fail(circuit)
        with pytest.raises(CatalogUnavailable, match=f"left alone for {pause} s"), circuit.call():
            pytest.fail("the call must not be made")
