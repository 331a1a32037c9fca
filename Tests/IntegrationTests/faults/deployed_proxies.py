# SPDX-License-Identifier: Apache-2.0
"""The proxies of deploy/ with TLS in front of two nodes, configured by the files there. Only addresses and the places of
files are others."""

import signal
import ssl
from pathlib import Path

import httpx
import yaml

from secure_proxy import Authority
from support import HOST, ROOT, Program, free_port, program

DEPLOY = ROOT / "deploy"


class DeployedProxy(Program):
    """One of `PROXIES`."""

    def __init__(self, directory: Path, name: str, nodes: list[int]) -> None:
        authority = Authority(directory)
        self.trust = ssl.create_default_context(cafile=authority.ca)
        self.ca, certificate = authority.ca, authority.certificate()
        port = free_port()
        text = AROUND[name].replace("{}", documented(name))
        for there, here in [
            ("10.0.0.1:8080", f"{HOST}:{nodes[0]}"),
            ("10.0.0.2:8080", f"{HOST}:{nodes[1]}"),
            ("hub-a:8080", f"{HOST}:{nodes[0]}"),
            ("hub-b:8080", f"{HOST}:{nodes[1]}"),
            ("/etc/ssl/martlet/hub.pem", str(certificate)),
            ("/etc/ssl/martlet/hub.key", str(certificate)),
            ("tls internal", f"tls {certificate} {certificate}"),
            (":443 ssl", f"{HOST}:{port} ssl"),
            ("maxconn 100000", "maxconn 1000"),  # haproxy does not start if it may not open so many
            ("listen 443", f"listen {HOST}:{port}"),
            ("\nhub.example.com {", f"\nhttps://{HOST}:{port} {{"),
            ("\nlocalhost {", f"\nhttps://{HOST}:{port} {{"),
        ]:
            text = text.replace(there, here)
        file = directory / f"{name}.conf"
        file.write_text(text)
        command = [word.format(file=file, directory=directory) for word in COMMANDS[name]]
        self.exit_code = -signal.SIGTERM if name == "haproxy" else 0
        super().__init__([program(command[0]), *command[1:]], port, directory / f"{name}.log", {"HOME": str(directory)})

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health/ready", verify=self.trust).status_code == 200
        except httpx.TransportError:
            return False


PROXIES = ["nginx", "haproxy", "caddy", "compose"]


def documented(name: str) -> str:
    """The configuration in deploy/."""
    if name == "compose":
        text: str = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["configs"]["caddy"]["content"]
        return text
    files = {"nginx": "nginx/martlet.conf", "haproxy": "haproxy/haproxy.cfg", "caddy": "caddy/Caddyfile"}
    return (DEPLOY / files[name]).read_text()


CADDY = ["caddy", "run", "--config", "{file}", "--adapter", "caddyfile"]

COMMANDS = {
    "nginx": ["nginx", "-p", "{directory}", "-c", "{file}", "-e", "stderr"],
    "haproxy": ["haproxy", "-db", "-f", "{file}"],
    "caddy": CADDY,
    "compose": CADDY,
}

# Ports that every Caddy opens, and that another one may have.
OPTIONS_OF_CADDY = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n{}"

# The rest of the main file, as an installation has it.
AROUND = {
    "nginx": """
daemon off;
user root;
pid nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
{}
}
""",
    "haproxy": "{}",
    "caddy": OPTIONS_OF_CADDY,
    "compose": OPTIONS_OF_CADDY,
}
