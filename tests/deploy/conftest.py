"""One engine and one project for the whole lane: `make test-deploy`. Its tests run in their order."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.deploy.engine import Engine, NoEngine, open_engine
from tests.deploy.load import Somebody
from tests.deploy.project import TOLD, Project
from tests.harness import HarnessError

NOT_TESTED = pytest.StashKey[NoEngine]()
TIMEOUT_S = 1500  # the images are built within the first test's time


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> Generator[None]:
    """The last words but pytest's closing line."""
    yield
    if reason := config.stash.get(NOT_TESTED, None):
        terminalreporter.write_sep("!", "THE DEPLOYMENT WAS NOT TESTED: no container engine", red=True, bold=True)
        terminalreporter.write_line(f"Missing: {reason.missing}.\nTo mend: {reason.mend}")
        terminalreporter.write_sep("!", red=True, bold=True)
    if told := config.stash.get(TOLD, ""):
        terminalreporter.write_line(told)


@pytest.fixture(scope="session")
def engine(pytestconfig: pytest.Config) -> Iterator[Engine]:
    try:
        engine = open_engine()
    except NoEngine as error:
        pytestconfig.stash[NOT_TESTED] = error
        pytest.skip("THE DEPLOYMENT WAS NOT TESTED")
    with contextlib.closing(engine):
        yield engine


@pytest.fixture(scope="session")
def project(engine: Engine) -> Iterator[Project]:
    """Built, up, with the demo loaded."""
    project = Project(engine)
    try:
        project.up()
        yield project
    except HarnessError as error:
        pytest.fail(str(error), pytrace=False)
    finally:
        project.down()


@pytest.fixture(scope="session")
def ada(project: Project) -> Iterator[Somebody]:
    with contextlib.closing(Somebody(project.url, "ada", project.secret("demo_password"))) as somebody:
        yield somebody
