# SPDX-License-Identifier: Apache-2.0
"""What a service manager such as systemd learns from the hub (sd_notify(3))."""

import socket
from pathlib import Path

from support import DEADLINE, Martlet, wait_until


def test_the_hub_reports_when_it_listens(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(DEADLINE)
        hub = Martlet(tmp_path, environment={"NOTIFY_SOCKET": str(path)})
        process = hub.spawn()
        try:
            assert manager.recv(1024) == b"READY=1"
            with socket.create_connection(("127.0.0.1", hub.port)):
                pass
        finally:
            process.terminate()
            assert process.wait(timeout=DEADLINE) == 0


def test_a_service_manager_that_is_gone_is_logged_and_the_hub_goes_on(tmp_path: Path) -> None:
    with Martlet(tmp_path, environment={"NOTIFY_SOCKET": str(tmp_path / "gone")}) as hub:
        wait_until(lambda: "(NOTIFY_SOCKET)" in hub.log.read_text(), "the failure is logged")
        assert hub.publish("orders", "first")
