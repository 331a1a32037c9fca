# SPDX-License-Identifier: Apache-2.0
"""How large the tests with faults are, and what their chance begins with."""

import os
import random


def scale(name: str, default: int) -> int:
    """A number that the environment may set, as scripts/crash does."""
    return int(os.environ.get(f"MARTLET_{name}", default))


def seeded() -> random.Random:
    """Chance that MARTLET_SEED repeats. The seed is printed, and shown when the test has failed."""
    seed = scale("SEED", random.randrange(2**32))
    print(f"--- MARTLET_SEED={seed}")
    return random.Random(seed)
