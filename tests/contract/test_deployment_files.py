"""The files of deploy/ that no test can run here are what those that read them expect: Kubernetes, systemd, pip."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from shared.settings import PREFIX, Settings
from tests.harness.server import find_program

DEPLOY = Path("deploy")
LOCKS = DEPLOY / "requirements"
KUBERNETES = "1.37"  # whose schemas they are checked against
PRIVILEGED = 2.5  # systemd's measure of exposure: 0 is none, 10 is all
UNITS = ("vitrine-api.service", "vitrine-renderer@.service", "vitrine-scheduler.service", "vitrine.target")
FIELDS = Settings.model_fields
ANSWER_S = FIELDS["sqllab_timeout_s"].default + 5  # as services/api/gunicorn.conf.py
LONGEST_S = {
    "vitrine-api.service": ANSWER_S,
    "vitrine-renderer@.service": FIELDS["render_time_limit_s"].default,
    "vitrine-scheduler.service": 10,
}
NAME = "app.kubernetes.io/name"
PLAIN = str.maketrans("./-", "___")  # how Prometheus writes a label's name
PIN = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)


# --- Kubernetes -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def manifests() -> list[dict[str, Any]]:
    """What `kubectl apply -k` of the example would send."""
    own = Path(sys.executable).with_name("kubectl")  # see scripts/kubectl.py
    kubectl = find_program("kubectl", str(own), package="kubectl")  # 1.21 or newer, for kustomize 4
    command = [str(kubectl), "kustomize", "deploy/kubernetes/overlays/example"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return list(YAML(typ="safe").load_all(done.stdout))


def of_kind(manifests: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in manifests if one["kind"] == kind]


def pods(manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one["spec"]["template"] for one in of_kind(manifests, "Deployment") + of_kind(manifests, "Job")]


def test_every_manifest_holds_to_kubernetes_schema_and_a_mistake_would_be_found(
    manifests: list[dict[str, Any]],
) -> None:
    for manifest in manifests:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    wrong = json.loads(json.dumps(of_kind(manifests, "Deployment")[0]))
    wrong["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)


def test_every_pod_is_locked_down_and_its_settings_exist(manifests: list[dict[str, Any]]) -> None:
    (config,) = of_kind(manifests, "ConfigMap")
    for pod in pods(manifests):
        (container,) = pod["spec"]["containers"]
        assert pod["spec"]["securityContext"]["runAsNonRoot"]
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        names = [*config["data"], *(entry["name"] for entry in container.get("env", []))]
        fields = {name.removeprefix(PREFIX).removesuffix("_FILE").lower() for name in names}
        assert fields <= set(Settings.model_fields)


def test_what_selects_pods_selects_pods_of_ours(manifests: list[dict[str, Any]]) -> None:
    labels = [pod["metadata"]["labels"] for pod in pods(manifests)]
    selectors = [one["spec"]["selector"] for one in of_kind(manifests, "Service")]
    selectors += [one["spec"]["selector"]["matchLabels"] for one in of_kind(manifests, "PodDisruptionBudget")]
    policies = of_kind(manifests, "NetworkPolicy")
    selectors += [one["spec"]["podSelector"].get("matchLabels", {}) for one in policies]
    for selector in selectors:
        assert any(selector.items() <= one.items() for one in labels), selector
    everything = next(one for one in policies if one["metadata"]["name"] == "vitrine-default-deny")
    assert all(everything["spec"]["podSelector"]["matchLabels"].items() <= one.items() for one in labels)
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in of_kind(manifests, "HorizontalPodAutoscaler")}
    assert scaled <= {one["metadata"]["name"] for one in of_kind(manifests, "Deployment")}


def test_an_autoscaler_alone_says_how_many_there_are(manifests: list[dict[str, Any]]) -> None:
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in of_kind(manifests, "HorizontalPodAutoscaler")}
    fixed = {one["metadata"]["name"] for one in of_kind(manifests, "Deployment") if "replicas" in one["spec"]}
    assert fixed == {"vitrine-scheduler"}
    assert not fixed & scaled


def test_a_gateway_s_pod_has_time_for_its_longest_answer(manifests: list[dict[str, Any]]) -> None:
    (pod,) = [pod["spec"] for pod in pods(manifests) if pod["metadata"]["labels"][NAME] == "vitrine-api"]
    waits_s = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > waits_s + ANSWER_S


def test_all_but_the_services_can_be_applied_before_them(manifests: list[dict[str, Any]]) -> None:
    """docs/deploy.md: the migration and what it needs first, by this selector; the pods of the new version after it."""
    services = {"vitrine-api", "vitrine-renderer", "vitrine-scheduler"}
    assert f"{NAME} notin ({', '.join(sorted(services))})" in Path("docs/deploy.md").read_text()
    first = [one for one in manifests if one["metadata"].get("labels", {}).get(NAME) not in services]
    assert {"Job", "ConfigMap", "Namespace", "ServiceAccount", "NetworkPolicy"} <= {one["kind"] for one in first}
    assert not of_kind(first, "Deployment")


def test_prometheus_finds_each_process_in_its_pods_and_may_reach_it(manifests: list[dict[str, Any]]) -> None:
    (scrape,) = YAML(typ="safe").load((DEPLOY / "monitoring/prometheus-kubernetes.yml").read_text())["scrape_configs"]
    rules, found = scrape["relabel_configs"], {}
    for pod in pods(manifests):
        (container,) = pod["spec"]["containers"]
        for port in container.get("ports", []):
            labels = {f"pod_label_{key.translate(PLAIN)}": value for key, value in pod["metadata"]["labels"].items()}
            labels |= {"pod_phase": "Running", "pod_container_port_name": port["name"], "job": scrape["job_name"]}
            if relabelled(labels, rules):
                found[labels["job"]] = (pod["metadata"]["labels"], port)
    compose = YAML(typ="safe").load((DEPLOY / "monitoring/prometheus.yml").read_text())["scrape_configs"]
    assert {job: port["containerPort"] for job, (_, port) in found.items()} == {
        one["job_name"]: one["dns_sd_configs"][0]["port"] for one in compose
    }
    for labels, port in found.values():
        assert any(lets_in(policy, labels, port) for policy in of_kind(manifests, "NetworkPolicy")), port


def relabelled(labels: dict[str, str], rules: list[dict[str, Any]]) -> bool:
    """As Prometheus does it: whether the target is kept; `labels` are changed."""
    for rule in rules:
        names = [name.removeprefix("__meta_kubernetes_") for name in rule["source_labels"]]
        match = re.fullmatch(rule["regex"], ";".join(labels.get(name, "") for name in names))
        if rule.get("action") == "keep" and match is None:
            return False
        if "target_label" in rule and match is not None:
            labels[rule["target_label"]] = rule.get("replacement") or match[1]
    return True


def lets_in(policy: dict[str, Any], labels: dict[str, str], port: dict[str, Any]) -> bool:
    """Whether the policy lets the namespace `monitoring` reach this port of such a pod."""
    selector = policy["spec"]["podSelector"]
    wanted = selector.get("matchLabels", {})
    listed = all(labels[one["key"]] in one["values"] for one in selector.get("matchExpressions", []))
    if not (wanted.items() <= labels.items() and listed):
        return False
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    return any(
        monitoring in rule["from"]
        and {entry["port"] for entry in rule["ports"]} & {port["name"], port["containerPort"]}
        for rule in policy["spec"].get("ingress", [])
    )


# --- systemd ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with the programs of this checkout."""
    for name in UNITS:
        text = (
            (DEPLOY / "systemd" / name).read_text().replace("/opt/vitrine/.venv/bin", str(Path(sys.executable).parent))
        )
        (tmp_path / name.replace("@.", "@1.")).write_text(text)
    return tmp_path


def test_systemd_takes_the_units_as_they_are_and_finds_their_hardening_good(units: Path) -> None:
    analyze = find_program("systemd-analyze", package="systemd")
    paths = sorted(units.iterdir())
    done = subprocess.run(
        [analyze, "verify", "--man=no", *paths], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    for path in paths:
        if path.suffix == ".service":
            limit = f"--threshold={int(PRIVILEGED * 10)}"
            command = [str(analyze), "security", "--offline=yes", "--no-pager", limit, str(path)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done.stdout[-400:]


@pytest.mark.parametrize("name", [name for name in UNITS if name.endswith(".service")])
def test_a_unit_signals_the_master_alone_and_gives_it_time(name: str) -> None:
    text = (DEPLOY / "systemd" / name).read_text()
    assert "\nKillMode=mixed\n" in text
    seconds = re.search(r"\nTimeoutStopSec=(\d+)\n", text)
    assert seconds
    assert int(seconds[1]) > LONGEST_S[name]


# --- images -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["api", "renderer", "scheduler", "cli"])
def test_an_image_s_requirements_are_those_of_the_one_lock_and_hold_what_its_groups_name(service: str) -> None:
    everything = {_name(name): version for name, version in PIN.findall(Path("requirements.lock").read_text())}
    text = (LOCKS / f"{service}.lock").read_text()
    own = {_name(name): version for name, version in PIN.findall(text)}
    assert own.items() <= everything.items()
    assert text.count("--hash=sha256:") >= len(own)
    project = tomllib.loads(Path("pyproject.toml").read_text())
    groups = ["api", "renderer", "scheduler"] if service == "cli" else [service]
    needed = {_name(line) for line in project["project"]["dependencies"]}
    needed |= {name for group in groups for name in _of_group(project, group)}
    assert needed <= set(own), "run `make lock`"
    assert not {"pytest", "mypy", "setuptools", "grpcio-tools"} & set(own)


def _of_group(project: dict[str, Any], group: str) -> set[str]:
    entries = project["dependency-groups"][group]
    found = {_name(entry) for entry in entries if isinstance(entry, str)}
    return found.union(*(_of_group(project, e["include-group"]) for e in entries if isinstance(e, dict)))


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=;~! ]", requirement, maxsplit=1)[0].lower().replace(".", "-")


def test_the_seccomp_profile_allows_the_sandbox_and_forbids_what_would_leave_it() -> None:
    profile = json.loads((DEPLOY / "seccomp-chromium.json").read_text())
    allowed = {name for rule in profile["syscalls"] for name in rule["names"] if not rule.get("args")}
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    assert {"clone", "unshare", "chroot", "seccomp", "execve"} <= allowed
    assert (
        not {"mount", "ptrace", "bpf", "keyctl", "init_module", "kexec_load", "io_uring_setup", "pivot_root"} & allowed
    )


def test_every_variable_of_the_compose_file_is_explained_with_its_default() -> None:
    used = dict(re.findall(r"\$\{((?:VITRINE|DEPLOY)_[A-Z_]+):?-([^}]*)\}", (DEPLOY / "compose.yml").read_text()))
    example = (DEPLOY / "env.example").read_text()
    assert dict(re.findall(r"^((?:VITRINE|DEPLOY)_[A-Z_]+)=(.*)$", example, re.MULTILINE)) == used
