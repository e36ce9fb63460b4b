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
FAILED = pytest.StashKey[str]()  # why the project did not come up: a second try would take as long, for each test
TIMEOUT_S = 1500
FIRST_TIMEOUT_S = 3600  # the engine is started and the images are built within the first test's time


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    for item in ours:
        item.add_marker(pytest.mark.timeout(FIRST_TIMEOUT_S if item is ours[0] else TIMEOUT_S))


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
def project(engine: Engine, pytestconfig: pytest.Config) -> Iterator[Project]:
    """Built, up, with the demo loaded."""
    if told := pytestconfig.stash.get(FAILED, ""):
        pytest.fail(told, pytrace=False)
    project = Project(engine)
    try:
        try:
            project.up()
        except (HarnessError, pytest.fail.Exception) as error:
            pytestconfig.stash[FAILED] = str(error)
            pytest.fail(str(error), pytrace=False)
        yield project
    finally:
        project.down()


@pytest.fixture(scope="session")
def ada(project: Project) -> Iterator[Somebody]:
    with contextlib.closing(Somebody(project.url, "ada", project.secret("demo_password"))) as somebody:
        yield somebody
