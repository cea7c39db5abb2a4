"""The examples for deploying: what can be run of them is run, the rest is read and held against what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.rules.load import load
from engine.tools.cases import run_files

EXAMPLES = Path(__file__).parent.parent / "examples"
RULES = sorted(EXAMPLES.rglob("rules.yaml"))
COMPOSE: dict[str, Any] = yaml.safe_load((EXAMPLES / "compose" / "compose.yaml").read_text(encoding="utf-8"))
MANIFESTS: list[dict[str, Any]] = list(
    yaml.safe_load_all((EXAMPLES / "kubernetes" / "pointsman.yaml").read_text(encoding="utf-8"))
)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "POINTSMAN_ADMIN_KEY": "k",
        "REDIS_URL": "redis://valkey:6379/0",
        "OPENAI_API_KEY": "sk",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.parent.parent.name + "/" + file.parent.name)
def test_rules_have_no_problems_and_their_tests_pass(file: Path) -> None:
    assert load(str(file)).problems == []
    report = run_files([str(file)])
    assert report.fine
    assert report.verdicts


def kind(name: str) -> dict[str, Any]:
    (found,) = [manifest for manifest in MANIFESTS if manifest["kind"] == name]
    return found


def test_the_manifests_fit_together() -> None:
    pod = kind("Deployment")["spec"]["template"]
    labels = pod["metadata"]["labels"]
    assert kind("Deployment")["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert kind("Service")["spec"]["selector"].items() <= labels.items()
    assert kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert kind("PodDisruptionBudget")["spec"]["minAvailable"] < kind("Deployment")["spec"]["replicas"]
    (container,) = pod["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    server = load(str(EXAMPLES / "kubernetes" / "rules.yaml")).single["server"]
    assert ports == {"http": server.port, "admin": int(server.admin.rpartition(":")[2])}
    probes = {name: container[name]["httpGet"] for name in ("readinessProbe", "livenessProbe", "startupProbe")}
    assert {probe["path"] for probe in probes.values()} == {"/health/ready", "/health/live"}
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pause + server.drain < pod["spec"]["terminationGracePeriodSeconds"]
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounts.keys() == {volume["name"] for volume in pod["spec"]["volumes"]}
    assert "subPath" not in mounts["rules"]
    assert container["args"][1].startswith(mounts["rules"]["mountPath"])
    assert server.spool.startswith(mounts["state"]["mountPath"])


def test_the_compose_file_names_what_is_there() -> None:
    folder = EXAMPLES / "compose"
    services = COMPOSE["services"]
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source in COMPOSE["volumes"] or (folder / source).exists(), source
        assert set(service.get("depends_on", [])) <= services.keys()
    gateway = services["gateway-1"]
    assert (folder / gateway["build"]["context"] / gateway["build"]["args"]["LOCK"]).is_file()
    assert (folder / ".env.example").is_file()
    targets = yaml.safe_load((folder / "prometheus.yml").read_text())["scrape_configs"][0]["static_configs"][0][
        "targets"
    ]
    assert {target.partition(":")[0] for target in targets} == {name for name in services if name.startswith("gateway")}


def expressions() -> list[str]:
    """Every query of the dashboard and of the alerts."""
    folder = EXAMPLES / "compose"
    dashboard = json.loads((folder / "grafana" / "dashboards" / "pointsman.json").read_text(encoding="utf-8"))
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    groups = yaml.safe_load((folder / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    return panels + [rule["expr"] for group in groups for rule in group["rules"]]


def test_queries_are_closed_and_name_what_is_measured() -> None:
    from engine.runtime.families import FAMILIES

    suffixes = {"counter": "_total", "histogram": "_bucket", "gauge": "", "info": "_info"}
    known = {family.name + suffixes[family.type] for family in FAMILIES.values()}
    for expression in expressions():
        assert expression.count("(") == expression.count(")"), expression
        named = set(re.findall(r"pointsman_[a-z_]+", expression))
        assert named <= known, expression
        labels = {
            name: set(family.labels) for family in FAMILIES.values() for name in [family.name + suffixes[family.type]]
        }
        wanted = set(re.findall(r"([a-z]+)(?:=~?)\"", expression)) - {"job"}
        assert all(wanted <= labels[name] for name in named if "{" in expression), expression
