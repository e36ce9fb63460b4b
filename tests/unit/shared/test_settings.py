"""Settings: one reader of the environment; a bad value is one line that names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import InvalidInput
from shared.settings import PREFIX, Settings, load
from shared.targets import Size

SECRET = "f3b1c9d27a8e4650b1c2d3e4f5a69788"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VITRINE_SECRET_KEY", SECRET)


def test_defaults_are_those_of_the_embedded_installation() -> None:
    settings = load()
    assert settings.embedded
    assert settings.metadata.startswith("sqlite:///")
    assert settings.dashboard_window == Size(1600, 1200)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("VITRINE_WORKERS", "many", "VITRINE_WORKERS: .*integer"),
        ("VITRINE_WORKERS", "0", "VITRINE_WORKERS: .*greater"),
        ("VITRINE_CHART_WINDOW", "800", "VITRINE_CHART_WINDOW: must be WIDTHxHEIGHT"),
        ("VITRINE_CHART_WINDOW", "800x99999", "VITRINE_CHART_WINDOW"),
        ("VITRINE_BASE_URL", "ftp://x", "VITRINE_BASE_URL: must begin with http"),
        ("VITRINE_THUMBNAIL_EXECUTORS", "BOSS", "VITRINE_THUMBNAIL_EXECUTORS: 'BOSS' is no executor; allowed"),
        ("VITRINE_RENDER_DEADLINE_S", "400", "VITRINE_RENDER_DEADLINE_S: must be shorter"),
        ("VITRINE_QUERY_LONG_THREADS", "15", "VITRINE_QUERY_CONNECTIONS: must be 17 at least"),
        ("VITRINE_LOG_LEVEL", "loud", "VITRINE_LOG_LEVEL"),
        ("VITRINE_WORKER", "2", "VITRINE_WORKER is no setting"),
        ("VITRINE_QUEUE_TYPE", "stream", "VITRINE_QUEUE_TYPE: .*'classic' or 'quorum'"),
        ("VITRINE_TRUSTED_PROXIES", "nginx", "VITRINE_TRUSTED_PROXIES: must be networks such as 10.0.0.0/24"),
        ("VITRINE_METRICS_NETWORKS", "10.0.0.1/24", "VITRINE_METRICS_NETWORKS: must be networks .* host bits"),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidInput, match=message) as caught:
        load()
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "secret",
    ["short", "changeme" * 5, "secret-secret-secret-secret-secret", "x" * 64, "vitrine-demo-secret-key-0123456789"],
)
def test_a_short_or_default_secret_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setenv("VITRINE_SECRET_KEY", secret)
    with pytest.raises(InvalidInput, match=r"VITRINE_SECRET_KEY: .*openssl rand") as caught:
        load()
    assert secret not in caught.value.message


def test_a_missing_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VITRINE_SECRET_KEY")
    with pytest.raises(InvalidInput, match="VITRINE_SECRET_KEY: is not set"):
        load()


def test_masked_settings_show_no_secret_and_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_BROKER_URL", "amqp://vitrine:hunter2@rabbit:5672/v")
    monkeypatch.setenv("VITRINE_METADATA_URL", "postgresql://vitrine:hunter2@db/v")
    shown = str(load().masked())
    assert "hunter2" not in shown
    assert SECRET not in shown
    assert "amqp://vitrine:***@rabbit:5672/v" in shown
    assert load().masked()["thumbnail_executors"] == "CURRENT_USER"  # in the words that the setting takes


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "v.toml").write_text('workers = 7\nchart_window = "640x480"\n')
    monkeypatch.setenv("VITRINE_SETTINGS_FILE", str(tmp_path / "v.toml"))
    monkeypatch.setenv("VITRINE_WORKERS", "3")
    assert (load().workers, load().chart_window) == (3, Size(640, 480))


def test_a_settings_file_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_SETTINGS_FILE", "/nowhere/v.toml")
    with pytest.raises(InvalidInput, match="VITRINE_SETTINGS_FILE names /nowhere"):
        load()


def test_settings_are_frozen_and_each_has_a_description() -> None:
    with pytest.raises(Exception, match="frozen"):
        load().workers = 9  # type: ignore[misc]
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_a_secret_may_lie_in_a_file_and_the_line_s_end_is_not_part_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    monkeypatch.delenv("VITRINE_SECRET_KEY")
    monkeypatch.setenv("VITRINE_SECRET_KEY_FILE", str(tmp_path / "secret"))
    assert load().secret_key.get_secret_value() == SECRET


def test_a_setting_that_is_given_twice_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    monkeypatch.setenv("VITRINE_SECRET_KEY_FILE", str(tmp_path / "secret"))
    with pytest.raises(InvalidInput, match="VITRINE_SECRET_KEY and VITRINE_SECRET_KEY_FILE are both set"):
        load()


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "can't be read: No such file"), (b"\xff\xfe", "no text in UTF-8"), (b"short", "at least")],
)
def test_a_secret_s_file_that_does_not_serve_is_one_line_without_its_content(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, why: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.delenv("VITRINE_SECRET_KEY")
    monkeypatch.setenv("VITRINE_SECRET_KEY_FILE", str(path))
    with pytest.raises(InvalidInput, match=why) as caught:
        load()
    assert "VITRINE_SECRET_KEY" in caught.value.message
    assert "\n" not in caught.value.message
    assert "short" not in caught.value.message


def test_the_file_of_a_setting_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_SECRTE_KEY_FILE", "/nowhere")
    with pytest.raises(InvalidInput, match="VITRINE_SECRTE_KEY_FILE is no setting"):
        load()
