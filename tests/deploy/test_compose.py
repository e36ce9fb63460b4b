"""deploy/compose.yml, run for real, in this order; test_teardown.py ends it."""

from __future__ import annotations

import io
import json
import subprocess
import time
from collections.abc import Sequence

import pytest
from PIL import Image

from tests.deploy.engine import ROOT
from tests.deploy.load import Load, Somebody
from tests.deploy.project import NAME, OURS, TOLD, Project
from tests.harness import HarnessError, wait_until

SERVERS = ("rabbitmq", "memcached", "postgres")
BUILD_TOOLS = ("gcc", "cc", "make", "git", "curl", "wget")
EXAMINED = {
    *("settings", "state", "database", "clock", "broker", "broker:queues", "management", "store:memcached:11211"),
    *("results", "catalog:native", "database:demo", "database:demo-duckdb", "browser", "render", "webgl", "fonts"),
    *("gateway", "gateway:base_url", "scheduler", "processes"),
    *(f"workers:vitrine_{name}_v1" for name in ("render", "bulk", "warm", "sql_short", "sql_long", "sql_charts")),
}
SLOW_CPUS = "0.5"  # of a renderer, so that three of them fit on two cores: what each has is what scaling adds


def charts(person: Somebody) -> list[str]:
    return [target for target in person.targets() if target.startswith("chart/")]


# --- what the containers are ------------------------------------------------------------------------------------------


def test_no_secret_is_in_an_image_in_a_container_s_settings_or_in_a_log(project: Project) -> None:
    secrets = {path.name: path.read_text().strip() for path in project.secrets.iterdir()}
    words = [secrets[name] for name in ("secret_key", "database_password", "demo_password", "broker_url")]
    words.append(secrets["broker_url"].split(":")[2].split("@")[0])
    told = project.compose("logs", "--no-color")
    for name in (*OURS, "cli"):
        image = f"{NAME}-{name}:latest"
        told += project.engine.docker("history", "--no-trunc", image) + project.engine.docker("inspect", image)
    for service in (*OURS, *SERVERS, "nginx"):
        told += json.dumps(project.containers(service))
    assert [word[:4] for word in words if word in told] == []


@pytest.mark.parametrize("service", OURS)
def test_our_containers_are_locked_down(project: Project, service: str) -> None:
    for container in project.containers(service):
        host = container["HostConfig"]
        assert container["Config"]["User"] == "10001:10001"
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert host["Memory"] > 0
        assert host["PidsLimit"] > 0
    script = "touch /app/x 2>/dev/null && echo WRITES; for tool in $0; do command -v $tool && echo FOUND; done; exit 0"
    assert project.in_container(service, "sh", "-c", script, " ".join(BUILD_TOOLS)) == ""


def test_the_renderer_has_no_way_to_the_world_and_cannot_reach_the_proxy(project: Project) -> None:
    (one, *_) = project.containers("renderer")
    networks = one["NetworkSettings"]["Networks"]
    assert {name.removeprefix(f"{NAME}_") for name in networks} == {"pages", "back", "monitoring"}
    assert all(network["Internal"] for network in project.engine.inspect(*networks))
    routes = project.in_container("renderer", "cat", "/proc/net/route").splitlines()[1:]
    assert [route for route in routes if route.split()[1] == "00000000"] == [], "no default route"
    script = "import socket; socket.create_connection(('nginx', 8080), 3)"
    code = f"try:\n {script}\nexcept OSError:\n print('unreachable')"
    assert project.in_container("renderer", "python", "-c", code).strip() == "unreachable"


def test_chromium_s_sandbox_is_on(project: Project) -> None:
    """Pages are drawn in processes of a process namespace of their own, under a second system call filter."""
    script = (
        "for f in /proc/[0-9]*; do words=$(tr '\\0' ' ' <$f/cmdline); case $words in "
        "/usr/lib/chromium/*--no-sandbox*) echo --no-sandbox;; "
        "/usr/lib/chromium/*--type=renderer*) grep -hE '^(NSpid|Seccomp_filters):' $f/status;; esac; done; exit 0"
    )

    def told() -> list[str]:
        return project.in_container("renderer", "sh", "-c", script).splitlines()

    lines = wait_until(told, 120, "an open page", interval_s=1)
    namespaces = [line.split()[1:] for line in lines if line.startswith("NSpid")]
    filters = [int(line.split()[1]) for line in lines if line.startswith("Seccomp_filters")]
    assert "--no-sandbox" not in lines
    assert namespaces
    assert all(len(pids) >= 2 for pids in namespaces), lines
    assert all(count >= 2 for count in filters), lines


def test_every_script_has_its_glyphs(project: Project) -> None:
    words = ("python", "-m", "services.renderer.glyphs")
    assert "every script has its glyphs" in project.in_container("renderer", *words)


# --- what they do -----------------------------------------------------------------------------------------------------


def test_people_log_in_through_nginx_and_every_picture_of_the_demo_is_drawn(project: Project, ada: Somebody) -> None:
    project.wait_quiet(400)
    targets = ada.targets()
    assert len(targets) > 20
    for target in targets:
        answer = ada.picture(target)
        assert answer.status_code == 200, (target, answer.text)
        picture = Image.open(io.BytesIO(answer.content)).convert("L")
        assert picture.size == (800, 600)
        assert len(picture.getcolors() or []) > 20, f"{target} is blank"
    assert project.dead_letters() == {}


@pytest.mark.parametrize("database", ["demo", "demo-duckdb"])
def test_databases_of_the_demo_are_queried_in_the_gateway_and_in_the_background(ada: Somebody, database: str) -> None:
    listed = ada.client.get("/api/v1/database/").json()["result"]
    (number,) = [one["id"] for one in listed if one["database_name"] == database]
    asked = {"database_id": number, "sql": "SELECT count(*) AS n FROM flights"}
    answer = ada.client.post("/api/v1/sqllab/execute/", json=asked)
    assert (answer.status_code, answer.json()["data"]) == (200, [{"n": 20_000}]), answer.text
    query = ada.client.post("/api/v1/sqllab/execute/", json={**asked, "runAsync": True}).json()["query"]

    def state() -> str:
        return str(ada.client.get(f"/api/v1/query/{query['id']}").json()["result"]["status"])

    wait_until(lambda: state() == "success", 60, lambda: f"the query's end; it is {state()}")


def test_doctor_finds_every_part_well_in_a_container(project: Project) -> None:
    told = json.loads(project.operator("doctor", "--json"))  # it would raise if anything failed
    verdicts = {one["name"]: one["verdict"] for one in told["findings"]}
    assert verdicts.keys() >= EXAMINED
    # People's address is that of another machine here, and how much room this one has is not ours to say.
    assert {name for name, verdict in verdicts.items() if verdict != "ok"} <= {"gateway:base_url", "state"}, told
    found = {one["name"]: one["found"] for one in told["findings"]}
    for words in ("2 renderer", "2 warming", "2 querying", "2 scheduler"):
        assert words in found["processes"]
    assert found["gateway"] == "http://api:8088 is ready"
    assert "llvmpipe" in found["webgl"], "Mesa's driver, in the sandbox of a container"


def test_why_tells_in_a_container_what_became_of_a_picture(project: Project, ada: Somebody) -> None:
    target, *_ = ada.targets()
    assert ada.picture(target).status_code == 200
    told = project.operator("why", target, "--user", "ada")
    assert f"native/{target} " in told
    shown = ("as ada sees it", "executor     ada", "status       fresh", "last render  Updated")
    for words in (*shown, "a request gets 200 with this picture"):
        assert words in told, told
    with pytest.raises(HarnessError, match=r"ended with 1(.|\n)*vitrine: There is no such"):
        project.operator("why", "dashboard/999999", "--user", "ada")


def test_metrics_are_for_neighbours_and_who_asks_is_told_by_the_proxy(project: Project, ada: Somebody) -> None:
    assert ada.client.get("/metrics").status_code == 404
    words = ("python", "-m", "shared.probe")
    assert project.in_container("api", *words, "http://127.0.0.1:8088/metrics", "vitrine_http_requests_total") == ""
    for wrong in range(3):
        ada.client.post("/api/v1/security/login", json={"username": "mina", "password": f"wrong {wrong}"})
    assert ada.client.get("/api/v1/me").status_code == 200


@pytest.mark.parametrize("victim", ["scheduler", "renderer", "api", "nginx", "memcached", "postgres", "rabbitmq"])
def test_nothing_is_lost_though_a_container_is_killed_under_load(project: Project, ada: Somebody, victim: str) -> None:
    count = len(project.containers(victim))
    with Load(ada, charts(ada)) as load:
        wait_until(lambda: len(load.accepted) >= 3, 60, "requests that are accepted")
        before, *_ = project.containers(victim)
        project.kill9(before)
        wait_until(lambda: _restarted(project, before["Id"]), 60, f"the restart of {victim}", interval_s=0.5)
        project.wait_healthy(victim, count)
        asked = dict(load.accepted)
        wait_until(lambda: load.accepted != asked, 60, lambda: f"requests accepted again: {load.failures[-3:]}")
    unexpected = [failure for failure in load.failures if victim not in (*SERVERS, "nginx")]
    unexpected += [failure for failure in load.failures if victim in SERVERS and " 503 " not in failure]
    assert unexpected == []
    load.wait_kept()
    project.wait_quiet()
    assert project.dead_letters() == {}


def _restarted(project: Project, container: str) -> bool:
    (now,) = project.engine.inspect(container)
    return bool(now["RestartCount"] > 0 and now["State"]["Running"])


def test_a_renderer_that_is_stopped_finishes_what_it_draws(project: Project, ada: Somebody) -> None:
    asked = charts(ada)[:8]
    for target in asked:
        ada.ask_anew(target)

    def states() -> dict[str, str]:
        return {target: ada.client.get(f"/api/v1/{target}/thumbnail/").json()["task_status"] for target in asked}

    drawing = wait_until(lambda: [t for t, s in states().items() if s == "Computing"], 60, "a picture that is drawn")
    project.compose("stop", "renderer")
    after = states()
    assert {after[target] for target in drawing} == {"Updated"}, after
    assert {one["State"]["ExitCode"] for one in project.containers("renderer")} == {0}
    project.compose("start", "renderer")
    project.wait_healthy("renderer", 2)
    project.wait_quiet()


# --- scaling and rolling ----------------------------------------------------------------------------------------------


def test_three_renderers_draw_faster_than_one(project: Project, ada: Somebody, pytestconfig: pytest.Config) -> None:
    targets = charts(ada)[:24]
    seconds = {}
    for count in (1, 3):
        project.scale("renderer", count, DEPLOY_RENDERER_CPUS=SLOW_CPUS)
        project.wait_healthy("renderer", count)
        _draw(ada, targets[:6])  # each has opened its pages
        seconds[count] = min(_draw(ada, targets) for _ in range(2))  # whoever else uses the machine uses it less then
    project.scale("renderer", 2)
    speed_up = seconds[1] / seconds[3]
    told = ", ".join(f"{count}: {spent:.1f} s" for count, spent in seconds.items())
    pytestconfig.stash[TOLD] = (
        f"{len(targets)} pictures, renderers of {SLOW_CPUS} cores, {told}: {speed_up:.2f} times as fast"
    )
    assert speed_up > 1.3, told


def _draw(person: Somebody, targets: Sequence[str]) -> float:
    """Seconds until all of them are drawn anew."""
    load, began = Load(person, targets), time.monotonic()
    for target in targets:
        load.ask(target)
    assert load.failures == []
    load.wait_kept()
    return time.monotonic() - began


def test_all_services_are_replaced_under_load_without_a_failed_request_or_a_lost_message(
    project: Project, ada: Somebody
) -> None:
    for name in OURS:
        project.engine.docker("tag", f"{NAME}-{name}:latest", f"{NAME}-{name}:next")
    environment = project.engine.environment | project.variables | {"DEPLOY_TAG": "next"}
    with Load(ada, charts(ada)) as load:
        done = subprocess.run(
            [ROOT / "deploy/roll.sh"], env=environment, capture_output=True, text=True, timeout=900, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert load.failures == []
    assert load.answers > 100
    load.wait_kept()
    project.wait_quiet()
    assert project.dead_letters() == {}
    for name in OURS:
        assert [one["Config"]["Image"] for one in project.containers(name)] == [f"{NAME}-{name}:next"] * 2
