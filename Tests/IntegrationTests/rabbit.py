# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ as a plain AMQP 1.0 broker on loopback: `apt-get install --no-install-recommends rabbitmq-server`.

The package starts the broker of the system as well, unless there is no init system: stop that one.
"""

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from proton.utils import BlockingConnection

from support import DEADLINE, HOST, Program, free_port, plain_environment, program, wait_until

USER, PASSWORD = "martlet", "test+key/="
START = 60.0  # seconds; it needs 4 to 19
_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one in the path changes to another user


class RabbitMQ(Program):
    """A broker with these queues, each bound to the fanout exchange of its name before the dot.

    Send to `/exchange/orders`, receive from `/amq/queue/orders.a`. Messages that were sent durable survive `kill`.
    Clients log in with SASL PLAIN, `USER` and `PASSWORD`.
    """

    def __init__(self, directory: Path, *queues: str) -> None:
        home = directory / "rabbitmq"
        home.mkdir()
        port, distribution = free_port(), free_port()
        (home / "enabled_plugins").write_text("[rabbitmq_amqp1_0].\n")
        (home / "definitions.json").write_text(json.dumps(_definitions(queues)))
        (home / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = {HOST}:{port}\n"
            f"load_definitions = {home / 'definitions.json'}\n"
            "loopback_users = none\nlog.console = true\nlog.console.level = warning\nlog.file = false\n")
        self._queues, self._names_port = queues, free_port()
        self._starts = 0
        self._names: subprocess.Popen[bytes] | None = None  # Erlang's name server
        environment = {
            "HOME": str(home),
            "ERL_EPMD_ADDRESS": HOST,  # for every command, or Erlang's name server listens everywhere
            "ERL_EPMD_PORT": str(self._names_port),
            "RABBITMQ_NODENAME": f"tests-{port}@localhost",
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
            "RABBITMQ_MNESIA_BASE": str(home / "data"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_PID_FILE": str(home / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_GENERATED_CONFIG_DIR": str(home / "generated"),
        }
        super().__init__([str(_SERVER)], port, directory / "rabbitmq.log", environment)
        self._pid_file = home / "pid"

    def spawn(self) -> subprocess.Popen[bytes]:
        """Starts the broker and does not wait for it."""
        assert _SERVER.exists(), "not installed: rabbitmq-server"
        environment = plain_environment() | self.environment
        with self.log.open("ab") as log:
            self._starts = self.log.read_text(errors="replace").count(" completed with ")
            # Erlang would start its name server as a daemon, which then outlives the broker.
            self._names = subprocess.Popen(
                [program("epmd"), "-address", HOST, "-port", str(self._names_port)], stdout=log, stderr=log)
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, env=environment, start_new_session=True)
        return self.process

    def start(self) -> None:
        """Starts it, and waits until clients can log in and use the queues."""
        process = self.spawn()
        try:
            wait_until(lambda: process.poll() is not None or self.answers(), "RabbitMQ is ready", START)
            assert process.poll() is None, f"exited with {process.returncode}"
        except BaseException:
            self._end()
            print(self.log.read_text(errors="replace"))
            raise

    def answers(self) -> bool:
        """Whether it has started: it accepts connections a little earlier than it has queues and plug-ins."""
        return self.log.read_text(errors="replace").count(" completed with ") > self._starts

    def connect(self, timeout: float = DEADLINE) -> BlockingConnection:
        return BlockingConnection(
            f"amqp://{HOST}:{self.port}", timeout=timeout, user=USER, password=PASSWORD, allowed_mechs="PLAIN",
            allow_insecure_mechs=True)

    def stop(self) -> None:
        """Stops it in good order."""
        process = self.process
        if process is None:
            return
        self._signal(signal.SIGTERM)  # to Erlang itself, which is quicker than the script around it
        try:
            process.wait(timeout=DEADLINE)
        finally:
            self._end()

    def kill(self) -> None:
        """Ends it as a crash does."""
        assert self.process is not None and self.process.poll() is None, "the broker has ended by itself"
        self._end()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(OSError, ValueError):
            os.kill(int(self._pid_file.read_text()), number)

    def _end(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        names, self._names = self._names, None
        if names is not None:
            names.kill()
            names.wait()


def _exchange(queue: str) -> str:
    return queue.partition(".")[0]


def _definitions(queues: Sequence[str]) -> dict[str, Any]:
    """What the broker has from the start: the user, the queues and their exchanges."""
    place = {"vhost": "/", "durable": True, "auto_delete": False, "arguments": {}}
    return {
        "users": [{"name": USER, "password": PASSWORD, "tags": "administrator"}],
        "vhosts": [{"name": "/"}],
        "permissions": [{"user": USER, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}],
        "exchanges": [
            place | {"name": name, "type": "fanout", "internal": False}
            for name in sorted(set(map(_exchange, queues)))],
        "queues": [place | {"name": name} for name in queues],
        "bindings": [
            {"source": _exchange(name), "vhost": "/", "destination": name, "destination_type": "queue",
             "routing_key": "", "arguments": {}} for name in queues],
    }
