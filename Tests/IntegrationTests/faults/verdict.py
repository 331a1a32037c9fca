# SPDX-License-Identifier: Apache-2.0
"""Nothing lost, nothing twice, nothing out of order: compares what was received with what was sent."""

from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise


@dataclass
class Sent:
    """What one publisher published, one after the other. No two publishers use the same number."""

    acknowledged: list[int] = field(default_factory=list)  # ascending
    unanswered: set[int] = field(default_factory=set)


@dataclass
class Received:
    """What one subscriber received."""

    numbers: "array[int]" = field(default_factory=lambda: array("Q"))
    gaps: list[str] = field(default_factory=list)
    failure: str | None = None  # why it has given up for good


def check(
    received: Iterable[Received], sent: Collection[Sent], most: int = 10, has_one_order: bool = True
) -> None:
    """Fails with what is wrong."""
    found = complaints(received, sent, has_one_order)
    assert not found, "\n".join([*found[:most], f"… ({len(found)} in all)"] if len(found) > most else found)


def complaints(
    received: Iterable[Received], sent: Collection[Sent], has_one_order: bool = True
) -> list[str]:
    """What is wrong, subscriber by subscriber. All of them were there before the first event, and after the last.

    Everybody has every acknowledged number exactly once, those of a publisher in its order. An unanswered one may be
    missing, and stand anywhere; but a log with one order gives everybody the same.
    """
    received = list(received)
    known: dict[bytes, list[str]] = {}  # nearly all have the same
    found: list[str] = []
    for name, subscriber in enumerate(received):
        sequence = subscriber.numbers.tobytes()
        if sequence not in known:
            known[sequence] = in_sequence(subscriber.numbers, sent)
        faults = list(known[sequence])
        if subscriber.gaps:
            faults.append(f"was told of {listed(subscriber.gaps)}")
        if subscriber.failure is not None:
            faults.append(f"has given up: {subscriber.failure}")
        if faults:
            found.append(f"subscriber {name} {'; '.join(faults)}")
    if has_one_order and not found and len(known) > 1:
        found.append(f"each is right by itself, but they have {len(known)} different orders, or unanswered events")
    return found


def in_sequence(numbers: Sequence[int], sent: Collection[Sent]) -> list[str]:
    faults: list[str] = []
    counts = Counter(numbers)
    published: set[int] = set().union(*(each.unanswered for each in sent))
    lacking: list[int] = []
    early: list[str] = []
    for each in sent:
        acknowledged = set(each.acknowledged)
        published |= acknowledged
        lacking += [number for number in each.acknowledged if number not in counts]
        own = [number for number in numbers if number in acknowledged]
        early += [f"{b} after {a}" for a, b in pairwise(own) if b < a]
    if lacking:
        faults.append(f"lacks {listed(lacking)}")
    if twice := [number for number, count in counts.items() if count > 1]:
        faults.append(f"has more than once {listed(twice)}")
    if early:
        faults.append(f"has out of order {listed(early)}")
    if strange := sorted(counts.keys() - published):
        faults.append(f"has what nobody published {listed(strange)}")
    return faults


def listed(items: Collection[object], most: int = 8) -> str:
    """Some of the items, and how many there are."""
    shown = ", ".join(str(item) for item in list(items)[:most])
    return f"{shown}, … ({len(items)} in all)" if len(items) > most else shown
