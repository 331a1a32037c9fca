# SPDX-License-Identifier: Apache-2.0
"""The tests here use some of what the integration tests use."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "IntegrationTests"))
