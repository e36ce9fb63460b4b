"""One engine and one project for the whole lane: `make test-deploy`. Its tests run in their order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.engine import Engine, NoEngine, open_engine
from tests.deploy.load import Somebody
from tests.deploy.project import TOLD, Project
from tests.harness import HarnessError

NOT_RUN = pytest.StashKey[str]()
TIMEOUT_S = 1500  # the images are built within the first test's time


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if reason := config.stash.get(NOT_RUN, ""):
        terminalreporter.write_sep("!", f"THE DEPLOYMENT WAS NOT RUN: {reason}", red=True, bold=True)
    if told := config.stash.get(TOLD, ""):
        terminalreporter.write_line(told)


@pytest.fixture(scope="session")
def engine(pytestconfig: pytest.Config) -> Iterator[Engine]:
    try:
        engine = open_engine()
    except NoEngine as error:
        pytestconfig.stash[NOT_RUN] = str(error)
        pytest.skip(f"THE DEPLOYMENT WAS NOT RUN: {error}")
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
