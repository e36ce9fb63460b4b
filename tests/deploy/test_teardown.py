"""The end of the project; by its name it runs last."""

from __future__ import annotations

from tests.deploy.project import NAME, Project


def test_it_goes_down_and_leaves_nothing(project: Project) -> None:
    project.down()
    label = f"label=com.docker.compose.project={NAME}"
    for words in (("ps", "-a", "-q"), ("volume", "ls", "-q"), ("network", "ls", "-q")):
        assert project.engine.docker(*words, "--filter", label) == ""
