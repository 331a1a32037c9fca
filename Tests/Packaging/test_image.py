# SPDX-License-Identifier: Apache-2.0
"""The image that scripts/package has made, and the Dockerfile that describes it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from conftest import made, output
from support import DEADLINE, HOST, ROOT, free_port, program, request, wait_until
from tokens import SECRET, Key

TOKEN = Key.make("HS256").token(publish=["*"])
KEYS = {"MARTLET_PUBLISHER_KEY": SECRET, "MARTLET_SUBSCRIBER_KEY": SECRET, "MARTLET_ANONYMOUS": "true"}
MEGABYTE = 1_000_000


@pytest.fixture(scope="session")
def image() -> Path:
    return made("martlet-*-image-*.tar")


@pytest.fixture(scope="session")
def configuration(image: Path) -> dict[str, Any]:
    return described(f"oci-archive:{image}")


def described(place: str) -> dict[str, Any]:
    """The configuration of an image, with what is not in the specification."""
    image = json.loads(output(program("skopeo"), "inspect", "--config", "--raw", place))
    configuration: dict[str, Any] = image["config"]
    return configuration


@pytest.fixture(scope="session")
def health(configuration: dict[str, Any]) -> list[str]:
    """The command of the health check."""
    check = configuration["Healthcheck"]
    assert check["Interval"] == 10 * 10**9 and check["Retries"] == 3 and check["Test"][0] == "CMD"
    return list(check["Test"][1:])


@pytest.fixture
def bundle(image: Path, tmp_path: Path, version: str) -> Path:
    """The image, unpacked for an OCI runtime by a tool that is not ours."""
    layout, bundle = tmp_path / "layout", tmp_path / "bundle"
    output(program("skopeo"), "copy", f"oci-archive:{image}", f"oci:{layout}:{version}")
    output(program("umoci"), "unpack", "--image", f"{layout}:{version}", bundle)
    return bundle


class Container:
    """The image as its configuration runs it: on the network of this machine, read-only but for its volume."""

    def __init__(self, bundle: Path, volume: Path, environment: dict[str, str]) -> None:
        self.id, self.port = f"martlet-{os.getpid()}-{free_port()}", free_port()
        self.bundle, self.log = bundle, bundle / f"{self.id}.log"
        runtime = json.loads((bundle / "config.json").read_text())
        runtime["process"]["terminal"] = False
        more = environment | {"MARTLET_PORT": str(self.port)}
        runtime["process"]["env"] += [f"{name}={value}" for name, value in more.items()]
        runtime["root"]["readonly"] = True
        bound = {"destination": "/var/lib/martlet", "source": str(volume), "type": "bind", "options": ["rbind", "rw"]}
        others = [each for each in runtime["mounts"] if each["destination"] != bound["destination"]]
        runtime["mounts"] = [*others, bound]
        namespaces = runtime["linux"]["namespaces"]
        runtime["linux"]["namespaces"] = [each for each in namespaces if each["type"] not in ("network", "user")]
        self.config = bundle / f"{self.id}.json"
        self.config.write_text(json.dumps(runtime))

    def crun(self, *words: str) -> list[str]:
        # crun refuses machines that have the second version of cgroups beside the first, even if it is to use neither.
        hide = ["unshare", "--mount", "sh", "-c", 'umount -q /sys/fs/cgroup/unified; exec "$@"', "sh"]
        return [*hide, program("crun"), "--cgroup-manager=disabled", *words]

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            command = self.crun("run", "--bundle", str(self.bundle), "--config", str(self.config), self.id)
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def health(self, command: list[str]) -> int:
        return subprocess.run(self.crun("exec", self.id, *command), capture_output=True).returncode

    @contextmanager
    def running(self, health: list[str]) -> Iterator[None]:
        process = self.start()
        try:
            wait_until(lambda: process.poll() is not None or self.health(health) == 0, "the container is healthy")
            assert process.poll() is None
            yield
            subprocess.run(self.crun("kill", self.id, "TERM"), check=True)
            assert process.wait(timeout=DEADLINE) == 0
        finally:
            subprocess.run(self.crun("delete", "--force", self.id), capture_output=True)
            process.kill()
            process.wait()
            print("--- container", self.log.read_text(), sep="\n")


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """What an engine makes of a new volume: it has the owner and mode that the folder has in the image."""
    volume = tmp_path / "volume"
    volume.mkdir(mode=0o750)
    os.chown(volume, 65532, 65532)
    return volume


def test_it_says_how_it_is_run(configuration: dict[str, Any], image: Path, version: str) -> None:
    assert configuration["User"] == "65532:65532"
    assert configuration["Entrypoint"] == ["/usr/bin/martlet"] and configuration["Cmd"] == ["serve"]
    assert configuration["Volumes"] == {"/var/lib/martlet": {}}
    assert configuration["ExposedPorts"] == {"8080/tcp": {}}
    assert configuration["Labels"]["org.opencontainers.image.version"] == version
    # The form of `docker load` has the same.
    assert described(f"docker-archive:{image}:martlet:{version}") == configuration


def test_it_takes_at_most_100_megabytes_unpacked(image: Path, bundle: Path) -> None:
    unpacked = sum(path.lstat().st_size for path in (bundle / "rootfs").rglob("*"))
    print(f"packed {image.stat().st_size / MEGABYTE:.1f} MB, unpacked {unpacked / MEGABYTE:.1f} MB")
    # The client of Kafka, if it is there, needs more libraries: docs/installing.md says so.
    has_kafka = any((bundle / "rootfs").rglob("librdkafka*"))
    assert image.stat().st_size < unpacked <= (103 if has_kafka else 100) * MEGABYTE


def test_it_runs_as_an_ordinary_user_and_keeps_history(bundle: Path, volume: Path, health: list[str]) -> None:
    owner = (bundle / "rootfs/var/lib/martlet").stat()
    assert (owner.st_uid, owner.st_gid, owner.st_mode & 0o777) == (65532, 65532, 0o750)
    container = Container(bundle, volume, KEYS)
    with container.running(health):
        authorization = {"Authorization": f"Bearer {TOKEN}"}
        assert request(container.port, "POST", "/events/orders", "first", authorization)[0] == 200
        assert (volume / "hub.db").stat().st_uid == 65532
    again = Container(bundle, volume, KEYS)
    with again.running(health):
        command = [str(made("martlet")), "listen", f"http://{HOST}:{again.port}/events/orders", "--since", "1h"]
        with subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, text=True) as listener:
            assert listener.stdout is not None
            assert json.loads(listener.stdout.readline())["data"] == "first"
            listener.terminate()


def test_it_is_unhealthy_while_its_log_is_away(bundle: Path, volume: Path, health: list[str]) -> None:
    container = Container(bundle, volume, KEYS | {"MARTLET_LOG": f"redis://{HOST}:{free_port()}"})
    process = container.start()
    try:
        wait_until(lambda: live(container.port), "the hub answers")
        assert container.health(health) == 1
    finally:
        subprocess.run(container.crun("delete", "--force", container.id), capture_output=True)
        process.wait()
        print(container.log.read_text())


def test_without_keys_it_does_not_start(bundle: Path, volume: Path) -> None:
    container = Container(bundle, volume, {})
    assert container.start().wait(timeout=DEADLINE) == 2
    assert "anyone who can reach 0.0.0.0 could publish" in container.log.read_text()


def live(port: int) -> bool:
    try:
        return request(port, "GET", "/health/live")[0] == 200
    except OSError:
        return False


# The Dockerfile

# Instead of a compiler: scripts/package finds the program that it has built before.
SWIFT = """#!/bin/sh
[ "$1" = build ] || exit 64
for word; do [ "$word" != --show-bin-path ] || echo /built; done
"""


class Buildah:
    def __init__(self, directory: Path) -> None:
        self._options = ["--root", str(directory / "storage"), "--runroot", str(directory / "run")]

    def __call__(self, *words: str | Path) -> str:
        return output(program("buildah"), "--storage-driver", "vfs", *self._options, *words)


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    # DL3008 asks for versions of packages, which Debian removes when it fixes them.
    output(Path(sys.executable).with_name("hadolint"), "--ignore", "DL3008", ROOT / "Dockerfile")


def test_the_dockerfile_makes_the_same_image(
    debian: Path, bundle: Path, configuration: dict[str, Any], tmp_path: Path
) -> None:
    """Every line is run, in front of a Debian that has no compiler but what the compiler would have made."""
    buildah = Buildah(tmp_path)
    base = buildah("from", "scratch").strip()
    buildah("add", "--quiet", base, debian, "/")
    swift = tmp_path / "swift"
    swift.write_text(SWIFT)
    buildah("add", "--quiet", "--chmod", "755", base, swift, "/usr/bin/swift")
    buildah("add", "--quiet", "--chmod", "755", base, made("martlet"), "/built/martlet")
    # The toolchain's image has these, too.
    install = "apt-get update -qq && apt-get install -qq -y --no-install-recommends binutils libstdc++-12-dev"
    buildah("run", "--isolation", "chroot", base, "sh", "-c", install)
    buildah("commit", "--quiet", base, "docker.io/library/swift:6.3.1-bookworm")
    buildah("bud", "--quiet", "--pull-never", "--isolation", "chroot", "--format", "docker", "-t", "martlet", ROOT)

    made_here = json.loads(buildah("inspect", "--type", "image", "martlet"))["Docker"]["config"]
    for name in ["User", "Entrypoint", "Cmd", "Volumes", "ExposedPorts", "Healthcheck"]:
        assert made_here[name] == configuration[name], name
    assert set(configuration["Env"]) <= {"PATH=/usr/bin", *made_here["Env"]}
    labels = {name: value for name, value in made_here["Labels"].items() if name.startswith("org.opencontainers")}
    assert labels.items() <= configuration["Labels"].items() and labels

    container = buildah("from", "--pull-never", "martlet").strip()
    mounted = Path(buildah("mount", container).strip())
    assert files(mounted) == files(bundle / "rootfs")
    assert (mounted / "usr/bin/martlet").read_bytes() == made("martlet").read_bytes()
    buildah("umount", container)


def files(root: Path) -> dict[str, tuple[int, int, int]]:
    """Each file and folder with its mode and owners."""
    found = {}
    for path in root.rglob("*"):
        status = path.lstat()
        found[path.relative_to(root).as_posix()] = (status.st_mode, status.st_uid, status.st_gid)
    return found
