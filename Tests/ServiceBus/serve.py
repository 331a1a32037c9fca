# SPDX-License-Identifier: Apache-2.0
"""Runs a `ServiceBus` for tests in other languages, until its input ends.

Prints the port, then answers each line of input with a line: `["create_topic", {"name": "orders"}]` calls a method, and
`["counts", {"entity": "orders"}]` prints its result as JSON. `["get", {"name": "tokens"}]` prints a property. A failure is `{"error": …}`.
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "IntegrationTests"))

from service_bus import ServiceBus  # noqa: E402


def main() -> None:
    with ServiceBus() as bus:
        print(bus.port, flush=True)
        for line in sys.stdin:
            print(json.dumps(answer(bus, line)), flush=True)


def answer(bus: ServiceBus, line: str) -> Any:
    try:
        name, arguments = json.loads(line)
        result = getattr(bus, arguments["name"]) if name == "get" else getattr(bus, name)(**arguments)
    except Exception as error:  # the test reports it
        return {"error": repr(error)}
    return dataclasses.asdict(result) if dataclasses.is_dataclass(result) and not isinstance(result, type) else result


if __name__ == "__main__":
    main()
