# SPDX-License-Identifier: Apache-2.0
"""The servers that are compared: how to get them, their versions, and how to start them."""

import os
import re
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from processes import HOST, Failure, output

HERE = Path(__file__).resolve().parent
MOST_CONNECTIONS = 32_768


def compile_program(name: str, folder: Path) -> Path:
    program = folder / name
    output(["cc", "-O2", "-o", program, HERE / f"{name}.c"])
    return program


@dataclass
class Floor:
    """The least that a server can do, in C."""

    folder: Path
    mode: str = "each"
    name: str = "floor"
    path: str = "/events"
    publish_path: str = "/publish"

    def prepare(self) -> str:
        compile_program("floor", self.folder)
        return output(["cc", "--version"]).splitlines()[0]

    def command(self, port: int, folder: Path) -> list[object]:
        return [self.folder / "floor", "--port", port, "--mode", self.mode]


@dataclass
class Martlet:
    binary: Path
    name: str = "martlet"
    path: str = "/events/bench"
    own_path: str = "/events/own-%d"
    publish_path: str = "/events/bench"
    log: str = "memory"

    def prepare(self) -> str:
        return output([self.binary, "--version"])

    def command(self, port: int, folder: Path) -> list[object]:
        kept = [] if self.log == "memory" else ["--log", self.log.replace(":", f":{folder}/", 1)]
        return [self.binary, "serve", "--port", port, "--log-level", "error", *kept]


@dataclass
class Keeping(Martlet):
    """A hub that keeps history in this way."""

    options: list[object] = field(default_factory=list)

    def command(self, port: int, folder: Path) -> list[object]:
        return [*super().command(port, folder), *self.options]


@dataclass
class Nchan:
    """nginx with one worker. Debian's packages are installed where they are missing."""

    name: str = "nchan"
    path: str = "/events?topic=bench"
    own_path: str = "/events?topic=own-%d"
    publish_path: str = "/publish?topic=bench"

    def prepare(self) -> str:
        if not self._module():
            as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
            install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends"]
            output([*as_root, "apt-get", "update", "-qq"])
            output([*as_root, "env", "DEBIAN_FRONTEND=noninteractive", *install, "nginx-light", "libnginx-mod-nchan"])
        if not self._module():
            raise Failure("nginx has no module ngx_nchan_module.so")
        package = output(["dpkg-query", "--show", "--showformat", "${Version}", "libnginx-mod-nchan"])
        return f"{package}, {output([self._nginx(), '-v'])}"

    def command(self, port: int, folder: Path) -> list[object]:
        folder.chmod(0o755)  # the worker may be another user
        (folder / "nginx.conf").write_text(f"""
            load_module {self._module()};
            daemon off;
            worker_processes 1;
            worker_rlimit_nofile {MOST_CONNECTIONS};
            pid nginx.pid;
            error_log stderr error;
            events {{ worker_connections {MOST_CONNECTIONS}; }}
            http {{
                access_log off;
                keepalive_requests 1000000000;  # the publisher stays on its connection
                client_body_temp_path client_body;
                proxy_temp_path proxy;
                fastcgi_temp_path fastcgi;
                uwsgi_temp_path uwsgi;
                scgi_temp_path scgi;
                server {{
                    listen {HOST}:{port};
                    nchan_channel_id $arg_topic;
                    location = /events {{
                        nchan_subscriber eventsource;
                        nchan_subscriber_first_message newest;
                    }}
                    location = /publish {{
                        nchan_publisher;
                        nchan_message_buffer_length 10;
                        nchan_message_timeout 10s;
                    }}
                }}
            }}
        """)
        return [self._nginx(), "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"]

    @staticmethod
    def _nginx() -> str | None:
        return shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))

    def _module(self) -> Path | None:
        """Where nginx keeps the module, if it has it."""
        nginx = self._nginx()
        folder = re.search(r"--modules-path=(\S+)", output([nginx, "-V"])) if nginx else None
        module = Path(folder[1]) / "ngx_nchan_module.so" if folder else None
        return module if module and module.is_file() else None


@dataclass
class Node:
    name: str = "node"
    path: str = "/events"
    publish_path: str = "/publish"

    def prepare(self) -> str:
        return output(["node", "--version"])

    def command(self, port: int, folder: Path) -> list[object]:
        return ["node", HERE / "node_server.js", port]


@dataclass
class Starlette:
    """sse-starlette on uvicorn, from PyPI, in a virtual environment beside this file."""

    name: str = "starlette"
    path: str = "/events"
    publish_path: str = "/publish"
    environment: Path = HERE / ".venv"

    def prepare(self) -> str:
        if not self._python.exists():
            output([sys.executable, "-m", "venv", self.environment])
        pip = [self._python, "-m", "pip", "--disable-pip-version-check"]
        requirements = HERE / "requirements.txt"
        output([*pip, "install", "--quiet", "--requirement", requirements])
        return f"{', '.join(requirements.read_text().split())}, {output([self._python, '--version'])}"

    def command(self, port: int, folder: Path) -> list[object]:
        return [self._python, HERE / "starlette_server.py", port]

    @property
    def _python(self) -> Path:
        return self.environment / "bin" / "python"
