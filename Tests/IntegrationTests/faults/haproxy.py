# SPDX-License-Identifier: Apache-2.0

import signal
from collections.abc import Iterable
from pathlib import Path

from support import HOST, Program, free_port, program

# deploy/haproxy/haproxy.cfg shows and explains this.
CONFIGURATION = """
defaults
  mode {mode}
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  timeout check 1s
  retries 3
  option redispatch 1
{answers}
frontend hub
  bind {host}:{port}
  default_backend nodes

backend nodes
  balance roundrobin
  option httpchk GET /health/ready
  default-server check inter 200ms fall 1 rise 1
{retries}
{servers}
"""

# Any answer of the proxy's own makes an EventSource give up for good; no answer makes it come back.
ANSWERS = """
  errorfile 502 /dev/null
  errorfile 503 /dev/null
  errorfile 504 /dev/null
"""

# A publish without a key is not safe to repeat.
RETRIES = """
  retry-on conn-failure empty-response
  http-request disable-l7-retry if METH_POST
"""


class HAProxy(Program):
    """haproxy in front of nodes, which get what comes by turns. The mode is tcp or http."""

    exit_code = -signal.SIGTERM

    def __init__(self, directory: Path, nodes: Iterable[int], mode: str = "http") -> None:
        port = free_port()
        servers = "\n".join(f"  server node-{node} {HOST}:{node}" for node in nodes)
        file = directory / "haproxy.cfg"
        answers, retries = (ANSWERS, RETRIES) if mode == "http" else ("", "")
        file.write_text(
            CONFIGURATION.format(
                mode=mode, host=HOST, port=port, servers=servers, answers=answers, retries=retries))
        super().__init__([program("haproxy"), "-db", "-f", str(file)], port, directory / "haproxy.log")
