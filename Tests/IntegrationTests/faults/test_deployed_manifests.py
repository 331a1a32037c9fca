# SPDX-License-Identifier: Apache-2.0
"""The files of deploy/ for Kubernetes and compose are valid, and a hub runs with the settings in them."""

import copy
import re
from pathlib import Path
from typing import Any

import compose_spec
import kubernetes_validate
import pytest
import yaml

from deployed_proxies import DEPLOY
from redis_log import RedisServer
from support import ROOT, Martlet, free_port, request
from tokens import SECRET

MANIFESTS: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "kubernetes/martlet.yaml").read_text()))
DEPLOYMENT = MANIFESTS[0]
POD = DEPLOYMENT["spec"]["template"]["spec"]
CONTAINER = POD["containers"][0]
COMPOSE = (DEPLOY / "compose.yaml").read_text()


def test_they_name_the_version_of_the_source() -> None:
    source = (ROOT / "Sources/MartletCommand/CommandLine/RootCommand.swift").read_text()
    version = re.findall(r'static let version = "(.*)"', source)
    images = [CONTAINER["image"], yaml.safe_load(COMPOSE)["services"]["hub-a"]["image"]]
    assert [image.rsplit(":")[-1] for image in images] == version * 2
    guides = ROOT / "Sources/Martlet/Martlet.docc"
    for page in [ROOT / "README.md", guides / "GettingStarted.md", guides / "ManyNodes.md"]:
        assert re.findall(r'martlet/martlet", from: "([^"]*)"', page.read_text()) == version
    for page in [ROOT / "README.md", ROOT / "docs/first-hub.md", ROOT / "docs/installing.md"]:
        files = re.findall(r"martlet_(\d[^_]*)_|martlet-(\d[^-]*)-|download/([^/]*)/|/martlet:(\d\S*)", page.read_text())
        named = ["".join(each) for each in files]
        assert named and set(named) == set(version), page


# The first version with `sleep`, and the newest that the schemas know.
@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_the_manifests_are_valid(version: str) -> None:
    assert [manifest["kind"] for manifest in MANIFESTS] == ["Deployment", "Service", "PodDisruptionBudget"]
    for manifest in MANIFESTS:
        kubernetes_validate.validate(manifest, version, strict=True)
    wrong = copy.deepcopy(DEPLOYMENT)
    wrong["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, version, strict=True)


def test_the_manifests_fit_each_other() -> None:
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    for selector in [
        DEPLOYMENT["spec"]["selector"]["matchLabels"],
        MANIFESTS[1]["spec"]["selector"],
        MANIFESTS[2]["spec"]["selector"]["matchLabels"],
    ]:
        assert selector.items() <= labels.items()
    ports = {port["name"] for port in CONTAINER["ports"]}
    used = {CONTAINER[probe]["httpGet"]["port"] for probe in ["readinessProbe", "livenessProbe"]}
    assert used | {port["targetPort"] for port in MANIFESTS[1]["spec"]["ports"]} <= ports
    # The grace period has room for sleep, for the hub's own, and for the requests after it.
    grace = int(next(each["value"] for each in CONTAINER["env"] if each["name"] == "MARTLET_GRACE").removesuffix("s"))
    assert POD["terminationGracePeriodSeconds"] > CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"] + grace + 5


def test_a_hub_runs_with_the_settings_of_kubernetes(tmp_path: Path) -> None:
    metrics = free_port()
    with RedisServer(tmp_path) as log:
        secrets = {"log": f"redis://127.0.0.1:{log.port}", "publisher-key": SECRET, "subscriber-key": SECRET}
        environment = {
            each["name"]: each["value"] if "value" in each else secrets[each["valueFrom"]["secretKeyRef"]["key"]]
            for each in CONTAINER["env"]
        }
        assert environment["MARTLET_METRICS_PORT"] == str(CONTAINER["ports"][1]["containerPort"])
        environment["MARTLET_METRICS_PORT"] = str(metrics)
        with Martlet(tmp_path, environment=environment) as hub:
            for probe in ["readinessProbe", "livenessProbe"]:
                assert request(metrics, "GET", CONTAINER[probe]["httpGet"]["path"])[0] == 200
            assert "martlet_log_reachable 1" in request(metrics, "GET", "/metrics")[1]
            # Anonymous clients may read, and not publish.
            assert request(hub.port, "POST", "/events/orders", "x")[0] == 401


def test_the_compose_file_is_valid() -> None:
    services = compose_spec.PyCompose.from_yaml(COMPOSE).service_names()
    assert set(services) == {"hub-a", "hub-b", "redis", "caddy"}
    with pytest.raises(ValueError):
        compose_spec.PyCompose.from_yaml(COMPOSE.replace("cap_drop", "cap_dorp"))


def test_a_hub_runs_with_the_settings_of_compose(tmp_path: Path) -> None:
    services = yaml.safe_load(COMPOSE)["services"]
    command = services["redis"]["command"]
    assert command[0] == "redis-server"
    with RedisServer(tmp_path) as log:
        environment = {
            name: SECRET if value.startswith("${") else value.replace("redis:6379", f"127.0.0.1:{log.port}")
            for name, value in services["hub-a"]["environment"].items()
        }
        with Martlet(tmp_path, environment=environment) as hub:
            assert request(hub.port, "POST", "/events/orders", "x")[0] == 401
