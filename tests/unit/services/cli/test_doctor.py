"""`vitrine doctor` itself, and what it finds without any server; with servers: tests/integration/services/cli."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.__main__ import app
from services.cli.checks import gateway, machine
from services.cli.checks.finding import Finding, Verdict
from shared.settings import Settings
from tests.samples.catalog import SECRET


def settings(**changes: object) -> Settings:
    return Settings(**({"secret_key": SECRET} | changes))  # type: ignore[arg-type]


def test_something_else_at_the_gateway_s_address_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_greet, args=(server,), daemon=True).start()
        (finding,) = gateway.gateway(settings(base_url=f"http://127.0.0.1:{server.getsockname()[1]}"))
    assert finding.verdict is Verdict.FAIL
    assert "does not speak HTTP" in finding.found
    assert "VITRINE_BASE_URL" in finding.mend


def _greet(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(1024)
        connection.sendall(b"SSH-2.0-other\r\n")


def test_people_s_address_out_of_reach_is_a_warning_as_they_may_stand_elsewhere() -> None:
    there = settings(base_url="http://127.0.0.1:1", internal_url="http://127.0.0.1:2")
    ours, people_s = gateway.gateway(there)
    assert (ours.name, ours.verdict) == ("gateway", Verdict.FAIL)
    assert (people_s.name, people_s.verdict) == ("gateway:base_url", Verdict.WARN)
    assert "If people reach it, all is well" in people_s.mend
    assert "people" not in ours.mend


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"secret_key": "abcdefgh" * 4}, "could be guessed"),
        ({"base_url": "http://bi.example.org"}, "plain text"),
    ],
)
def test_settings_that_hold_and_are_unwise_are_warnings(changes: dict[str, object], words: str) -> None:
    (finding,) = machine.settings(settings(**changes))
    assert finding.verdict is Verdict.WARN
    assert words in finding.found
    assert str(changes.get("secret_key", "no such text")) not in finding.found


def test_a_settings_file_that_everybody_can_read_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "vitrine.toml"
    file.write_text(f'secret_key = "{SECRET}"\n')
    monkeypatch.setenv("VITRINE_SETTINGS_FILE", str(file))
    for mode, verdict in ((0o644, Verdict.WARN), (0o640, Verdict.OK)):
        file.chmod(mode)
        assert [one.verdict for one in machine.settings(settings())] == [verdict]


def test_a_state_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.touch()
    (finding,) = machine.state(settings(state_dir=taken / "state"))
    assert (finding.verdict, "VITRINE_STATE_DIR" in finding.mend) == (Verdict.FAIL, True)


@pytest.mark.parametrize(("free_mib", "verdict"), [(50, Verdict.FAIL), (500, Verdict.WARN), (5000, Verdict.OK)])
def test_little_space_is_a_warning_and_next_to_none_a_failure(free_mib: int, verdict: Verdict, tmp_path: Path) -> None:
    assert machine.space(tmp_path, free_mib * 2**20).verdict is verdict


def findings(*words: str, **environment: str) -> tuple[int, list[Finding]]:
    """Of `vitrine doctor --json`, in this process."""
    done = CliRunner().invoke(app, ["doctor", "--json", *words], env={"VITRINE_SECRET_KEY": SECRET} | environment)
    return done.exit_code, [Finding(**one) for one in json.loads(done.stdout)["findings"]]


def test_a_setting_that_does_not_hold_is_the_only_finding() -> None:
    code, (finding,) = findings(VITRINE_SECRET_KEY="changeme")
    assert (code, finding.name, finding.verdict) == (1, "settings", Verdict.FAIL)
    assert "VITRINE_SECRET_KEY" in finding.found
    assert "changeme" not in finding.found


def test_a_machine_is_asked_only_for_what_its_services_need(tmp_path: Path) -> None:
    _, found = findings("--services", "api", "--before-start", VITRINE_STATE_DIR=str(tmp_path))
    names = [one.name for one in found]
    assert {"database", "broker", "store"} <= set(names)
    assert not {"browser", "render", "fonts", "gateway", "scheduler"} & set(names)


def test_another_service_is_refused() -> None:
    with pytest.raises(Exception, match="none of api, renderer, scheduler"):
        CliRunner().invoke(app, ["doctor", "--services", "web"], catch_exceptions=False)
