# SPDX-License-Identifier: Apache-2.0
"""What was measured, round by round, and its tables."""

import os
import platform
import re
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

Metrics = dict[str, float | None]
NOTHING = "–"


@dataclass
class Results:
    """Of one scenario: what each round measured of each candidate, and why something could not be measured."""

    rounds: dict[str, dict[int, Metrics]] = field(default_factory=dict)
    failures: dict[str, list[str]] = field(default_factory=dict)

    def add(self, label: str, number: int, metrics: Metrics) -> None:
        self.rounds.setdefault(label, {})[number] = metrics

    def fail(self, label: str, reason: str) -> None:
        self.failures.setdefault(label, []).append(reason)

    def values(self, label: str, metric: str) -> list[float]:
        found = (metrics.get(metric) for metrics in self.rounds.get(label, {}).values())
        return [value for value in found if value is not None]

    def ratios(self, label: str, metric: str, reference: str) -> list[float]:
        """To the reference in the same round."""
        references = self.rounds.get(reference, {})
        pairs = ((value.get(metric), references.get(number, {}).get(metric))
                 for number, value in self.rounds.get(label, {}).items())
        return [value / base for value, base in pairs if value is not None and base]


@dataclass(frozen=True)
class Column:
    title: str
    text: Callable[[Results, str], str]


def median(title: str, metric: str, form: str = ".1f") -> Column:
    return Column(title, lambda results, label: reduced(statistics.median, results.values(label, metric), form))


def worst(title: str, metric: str) -> Column:
    """The highest of all rounds."""
    return Column(title, lambda results, label: reduced(max, results.values(label, metric), ".0f"))


def spread(title: str, metric: str, form: str = ".1f") -> Column:
    """The lowest and the highest of all rounds."""
    def text(results: Results, label: str) -> str:
        values = results.values(label, metric)
        return f"{min(values):{form}} – {max(values):{form}}" if values else NOTHING

    return Column(title, text)


def ratio(reference: str, metric: str, form: str = ".2f") -> Column:
    """The median of the ratios of all rounds."""
    return Column(
        f"× {reference}",
        lambda results, label: reduced(statistics.median, results.ratios(label, metric, reference), form))


def reduced(reduce: Callable[[list[float]], float], values: list[float], form: str) -> str:
    return format(reduce(values), form) if values else NOTHING


def table(results: Results, labels: Iterable[str], columns: list[Column]) -> str:
    """In Markdown that can also be read as it is. What could not be measured is said in its row or below."""
    rows = [["server", *(column.title for column in columns)]]
    for label in labels:
        if label in results.rounds:
            rows.append([label, *(column.text(results, label) for column in columns)])
        else:
            reason = next(iter(results.failures.get(label, [])), "interrupted")
            rows.append([label, f"NOT RUN: {reason}", *("" for _ in columns[1:])])
    widths = [max(len(row[i]) for row in rows if "NOT RUN" not in row[i]) for i in range(len(rows[0]))]
    lines = [f"| {' | '.join(map(str.ljust, row, widths))} |" for row in rows]
    lines.insert(1, f"|{'|'.join('-' * (width + 2) for width in widths)}|")
    failed = [f"FAILED: {label}: {reason}" for label in results.rounds for reason in results.failures.get(label, [])]
    return "\n".join([*lines, *(f"\n{line}" for line in failed)])


def conditions(versions: dict[str, str], command: str) -> str:
    """The machine and what ran on it, as a list."""
    processor = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    huge_pages = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": f"`{command}`",
        "processor": f"{processor[1] if processor else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "transparent huge pages": huge_pages.read_text().strip() if huge_pages.exists() else "none",
        "load average at the start": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        **versions,
    }
    return "\n".join(f"- {name}: {fact}" for name, fact in facts.items())
