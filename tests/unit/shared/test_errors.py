"""The taxonomy is closed: every failure has a code of its own meaning and says whether trying again helps."""

from __future__ import annotations

from shared import errors


def leaves() -> list[type[errors.VitrineError]]:
    return errors._leaves(errors.VitrineError)


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [leaf.code for leaf in leaves()]
    assert len(codes) == len(set(codes)) == len(errors.BY_CODE)


def test_every_error_is_permanent_or_transient_and_documented() -> None:
    for leaf in leaves():
        assert leaf.transient == issubclass(leaf, errors.TransientError)
        assert leaf.__doc__, leaf
