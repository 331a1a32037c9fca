# SPDX-License-Identifier: Apache-2.0
"""The program itself, the tarball and the checksums."""

import re
import subprocess
from pathlib import Path

import pytest

from conftest import DIST, made, output
from support import ROOT

# glibc loads the last one itself, to end a thread.
GLIBC = {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "libgcc_s.so.1"}
REPOSITORY = "https://github.com/martlet/martlet/blob"


def test_the_program_needs_only_glibc_and_is_stripped() -> None:
    program = made("martlet")
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", output("readelf", "--dynamic", program)))
    # These are there with the traits Kafka and ServiceBus only.
    assert needed - {"librdkafka.so.1", "libqpid-proton.so.11"} <= GLIBC, needed
    assert ".symtab" not in output("readelf", "--sections", program)


def test_the_checksums_are_those_of_the_files() -> None:
    checked = output("sh", "-c", f"cd {DIST} && sha256sum --check SHA256SUMS").splitlines()
    assert len(checked) == 3 and all(line.endswith(": OK") for line in checked), checked


def test_the_tarball_unpacks_into_one_folder_and_runs(tmp_path: Path, version: str) -> None:
    output("tar", "-C", tmp_path, "-xf", made("martlet-*-linux-*.tar.gz"))
    (folder,) = tmp_path.iterdir()
    assert folder.name.startswith(f"martlet-{version}-linux-")
    assert output(folder / "bin/martlet", "--version").strip() == version
    for file in ["LICENSE", "share/man/man1/martlet.1", "share/doc/martlet/LICENSES",
                 "share/doc/martlet/deploy/systemd/martlet.service", "share/doc/martlet/docs/options.md"]:
        assert (folder / file).is_file(), file
    licenses = (folder / "share/doc/martlet/LICENSES").read_text()
    for part in ["swift-nio/LICENSE", "GRDB.swift/LICENSE", "libsqlite3-dev", "Runtime Library Exception"]:
        assert part in licenses, part
    assert subprocess.run([folder / "bin/martlet", "health", "--port", "1"]).returncode == 4


@pytest.mark.parametrize("package", ["martlet_*.deb", "martlet-*-linux-*.tar.gz"])
def test_every_link_of_the_packaged_pages_leads_to_a_file(package: str, tmp_path: Path, version: str) -> None:
    file = made(package)
    if file.suffix == ".deb":
        output("dpkg-deb", "--extract", file, tmp_path)
    else:
        output("tar", "-C", tmp_path, "-xf", file)
    (documents,) = tmp_path.rglob("share/doc/martlet")
    within = beyond = 0
    for page in documents.rglob("*.md"):
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            path, _, heading = link.removeprefix(f"{REPOSITORY}/{version}/").partition("#")
            if path != link.partition("#")[0]:
                beyond += 1
                target = ROOT / path
            elif re.match("[a-z]+:", link):
                continue
            else:
                within += 1
                target = page.parent / path if path else page
            assert target.exists(), f"{page.relative_to(documents)}: {link}"
            assert not heading or heading in headings(target), f"{page.relative_to(documents)}: {link}"
    assert within > 50 and beyond > 10, (within, beyond)


def headings(page: Path) -> set[str]:
    """The fragments that name the headings of a page, as GitHub makes them."""
    lines = re.findall(r"(?m)^#+ (.*)", page.read_text())
    return {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in lines}
