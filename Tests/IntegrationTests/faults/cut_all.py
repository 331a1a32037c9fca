# SPDX-License-Identifier: Apache-2.0

import os
import subprocess

from support import HOST, program


def cut_all(port: int) -> None:
    """Has the kernel end all connections to a port."""
    command = [program("ss"), "-HK", "dst", HOST, "dport", "=", str(port)]
    subprocess.run(command if os.geteuid() == 0 else ["sudo", *command], check=True, stdout=subprocess.DEVNULL)
