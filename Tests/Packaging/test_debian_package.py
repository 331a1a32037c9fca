# SPDX-License-Identifier: Apache-2.0
"""The Debian package on a clean machine with systemd: installed, used, upgraded, removed and purged."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from conftest import made, output
from machine import Machine
from support import program, wait_until

EVENTS = "http://127.0.0.1:8080/events/orders"


def older(package: Path, directory: Path) -> Path:
    """The same package with a lower version."""
    tree, file = directory / "older", directory / "martlet-older.deb"
    output("dpkg-deb", "--raw-extract", package, tree)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*", "Version: 0.0.1", control.read_text()))
    output("dpkg-deb", "--root-owner-group", "--build", tree, file)
    return file


def ready(machine: Machine) -> bool:
    return machine.succeeds("martlet", "health", "--config", "/etc/martlet/martlet.json")


def history(machine: Machine, count: int) -> list[str]:
    """The data of the first events in history, in its order."""
    command = ["timeout", "20", "martlet", "listen", EVENTS, "--since", "1h", "--json", "--count", str(count)]
    return [json.loads(line)["data"] for line in machine.run(*command).splitlines()]


def test_a_machine_installs_uses_upgrades_and_purges_it(root: Path, tmp_path: Path, version: str) -> None:
    package = made("martlet_*.deb")
    (root / "martlet.deb").write_bytes(package.read_bytes())
    (root / "older.deb").write_bytes(older(package, tmp_path).read_bytes())
    # apt installs what the package depends on.
    output("chroot", root, "apt-get", "update", "-qq")
    output("chroot", root, "apt-get", "install", "-qq", "-y", "--no-install-recommends", "/older.deb")

    with Machine(root) as machine:
        wait_until(lambda: ready(machine), "the service has started with the machine")
        assert machine.run("dpkg-query", "-W", "-f", "${Version}", "martlet") == "0.0.1"
        assert machine.run("martlet", "--version").strip() == version
        service = machine.properties("martlet", "User", "LimitNOFILE", "NoNewPrivileges", "ProtectSystem", "MainPID")
        assert service | {"MainPID": ""} == {
            "User": "martlet", "LimitNOFILE": "1048576", "NoNewPrivileges": "yes", "ProtectSystem": "strict", "MainPID": ""}
        exposure = machine.run("systemd-analyze", "security", "martlet").splitlines()[-1]
        assert float(re.findall(r": ([\d.]+)", exposure)[0]) <= 2, exposure

        machine.curl("-d", "first", EVENTS)
        assert history(machine, 1) == ["first"]
        machine.run("systemctl", "restart", "martlet")
        wait_until(lambda: ready(machine), "the service has started again")
        assert history(machine, 1) == ["first"]

        # Keys, as docs/installing.md says.
        for name in ("publisher", "subscriber"):
            key = f"/etc/martlet/{name}.key"
            machine.run("sh", "-c", f"umask 077; tr -dc a-z </dev/urandom | head -c 40 >{key}; chown martlet: {key}")
            machine.setting(f"{name}-key", f"file:{key}")
        machine.setting("anonymous", True)
        machine.run("systemctl", "restart", "martlet")
        wait_until(lambda: ready(machine), "the service has started with keys")
        token = machine.run("martlet", "token", "--key-file", "/etc/martlet/publisher.key", "--publish", "*", "--for", "1h")
        machine.curl("-H", f"Authorization: Bearer {token.strip()}", "-d", "second", EVENTS)

        # A stream that is open while the package is upgraded goes on by itself, and the settings stay.
        command = machine.inside("timeout", "60", "martlet", "listen", EVENTS, "--since", "1h", "--json")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listener:
            assert listener.stdout is not None
            assert [json.loads(listener.stdout.readline())["data"] for _ in range(2)] == ["first", "second"]
            machine.run("dpkg", "--install", "/martlet.deb")
            assert machine.properties("martlet", "MainPID")["MainPID"] not in ("0", service["MainPID"])
            wait_until(lambda: ready(machine), "the upgraded service has started")
            machine.curl("-H", f"Authorization: Bearer {token.strip()}", "-d", "third", EVENTS)
            assert json.loads(listener.stdout.readline())["data"] == "third"
            listener.terminate()
        assert history(machine, 3) == ["first", "second", "third"]
        assert machine.run("dpkg-query", "-W", "-f", "${Version}", "martlet") == version

        machine.run("dpkg", "--remove", "martlet")
        assert not machine.succeeds("systemctl", "is-active", "martlet")
        assert not (root / "usr/bin/martlet").exists()
        assert (root / "etc/martlet/martlet.json").exists() and (root / "var/lib/martlet/hub.db").exists()
        machine.run("dpkg", "--install", "/martlet.deb")
        wait_until(lambda: ready(machine), "the service has started after it was installed again")
        assert history(machine, 3) == ["first", "second", "third"]

        machine.run("dpkg", "--purge", "martlet")
        assert not machine.succeeds("getent", "passwd", "martlet") and not machine.succeeds("getent", "group", "martlet")
        left = machine.run("find", "/etc", "/usr", "/var", "/run", "/tmp", "-name", "*martlet*").splitlines()
        assert left == [], left


def test_settings_that_are_wrong_are_not_tried_again(root: Path) -> None:
    (root / "martlet.deb").write_bytes(made("martlet_*.deb").read_bytes())
    output("chroot", root, "apt-get", "update", "-qq")
    output("chroot", root, "apt-get", "install", "-qq", "-y", "--no-install-recommends", "/martlet.deb")
    with Machine(root) as machine:
        wait_until(lambda: ready(machine), "the service has started with the machine")
        machine.setting("port", "eighty")
        # systemctl waits until the hub listens, and learns that it does not.
        assert not machine.succeeds("systemctl", "restart", "martlet")
        wait_until(lambda: not machine.succeeds("systemctl", "is-active", "martlet"), "the service has given up")
        failed = machine.properties("martlet", "ActiveState", "Result", "ExecMainStatus", "NRestarts")
        assert failed == {"ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "2", "NRestarts": "0"}
        assert "port in /etc/martlet/martlet.json" in machine.run("journalctl", "--no-pager", "-u", "martlet")


def test_it_depends_on_the_libraries_that_the_program_needs() -> None:
    needed = output("readelf", "--dynamic", made("martlet"))
    depends = output("dpkg-deb", "--field", made("martlet_*.deb"), "Depends").strip().split(", ")
    for library, package in [("librdkafka.so.1", "librdkafka1"), ("libqpid-proton.so.11", "libqpid-proton11")]:
        assert (library in needed) == any(each.split()[0] == package for each in depends), depends
    # DT_RELR; apt refuses the package where the loader would refuse the program.
    (glibc,) = re.findall(r"\blibc6 \(>= 2\.(\d+)\)", ", ".join(depends))
    assert "(RELR)" in needed and int(glibc) >= 36, depends


def test_lintian_finds_nothing_that_is_not_explained() -> None:
    found = output(program("lintian"), "--allow-root", "--fail-on=none", made("martlet_*.deb")).splitlines()
    assert found == [], found


def test_the_man_page_is_sound_and_has_every_option(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    output("dpkg-deb", "--extract", made("martlet_*.deb"), tree)
    page = tmp_path / "martlet.1"
    page.write_text(output("zcat", tree / "usr/share/man/man1/martlet.1.gz"))
    output(program("mandoc"), "-T", "lint", "-W", "warning", page)
    text = output(program("mandoc"), "-T", "utf8", "-O", "width=300", page)
    plain = re.sub(r".\x08", "", text)
    root = json.loads(output(made("martlet"), "--experimental-dump-help"))["command"]

    def check(command: dict[str, Any], path: str) -> int:
        assert path in plain
        options = [argument for argument in command.get("arguments", []) if argument["shouldDisplay"]]
        for argument in options:
            for name in argument.get("names") or []:
                assert f"--{name['name']}" in plain or name["kind"] == "short", f"{path} --{name['name']}"
        return len(options) + sum(
            check(each, f"{path} {each['commandName']}")
            for each in command.get("subcommands", []) if each["commandName"] != "help")

    assert check(root, "martlet") > 60


def test_completions_load_in_each_shell(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    output("dpkg-deb", "--extract", made("martlet_*.deb"), tree)
    share = tree / "usr/share"
    bash = share / "bash-completion/completions/martlet"
    script = f"source {bash}; COMP_WORDS=(martlet se); COMP_CWORD=1; COMP_LINE='martlet se'; COMP_POINT=10; _martlet martlet se martlet; " \
        'echo "${COMPREPLY[@]}"'
    assert output("bash", "-c", script).split() == ["serve"]
    for shell, file in [("zsh", "zsh/vendor-completions/_martlet"), ("fish", "fish/vendor_completions.d/martlet.fish")]:
        output(program(shell), "-n", share / file)
