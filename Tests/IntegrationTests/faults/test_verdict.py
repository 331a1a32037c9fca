# SPDX-License-Identifier: Apache-2.0
"""The tests with faults can fail: each thing that may go wrong is seen and named."""

from array import array

import pytest

from verdict import Received, Sent, complaints

SENT = [Sent([1, 2, 4, 5], {3}), Sent([101, 102])]


def received(*numbers: int, gaps: tuple[str, ...] = (), failure: str | None = None) -> Received:
    return Received(array("Q", numbers), list(gaps), failure)


RIGHT = (1, 101, 2, 4, 102, 5)


@pytest.mark.parametrize(
    "numbers",
    [RIGHT, (1, 2, 4, 5, 101, 102), (1, 2, 3, 4, 5, 101, 102), (1, 2, 4, 5, 101, 102, 3)],
    ids=["mixed", "one by one", "unanswered in place", "unanswered late"],
)
def test_what_is_right_is_accepted(numbers: tuple[int, ...]) -> None:
    assert complaints([received(*numbers)] * 3, SENT) == []


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (received(1, 101, 4, 102, 5), "subscriber 1 lacks 2"),
        (received(), "subscriber 1 lacks 1, 2, 4, 5, 101, 102"),
        (received(*RIGHT, 5), "subscriber 1 has more than once 5"),
        (received(*RIGHT, 3, 3), "subscriber 1 has more than once 3"),
        (received(1, 101, 4, 2, 102, 5), "subscriber 1 has out of order 2 after 4"),
        (received(*RIGHT, 6), "subscriber 1 has what nobody published 6"),
        (received(*RIGHT, gaps=("trimmed",)), "subscriber 1 was told of trimmed"),
        (received(*RIGHT, failure="503"), "subscriber 1 has given up: 503"),
    ],
)
def test_what_is_wrong_is_named_with_its_subscriber(wrong: Received, complaint: str) -> None:
    assert complaints([received(*RIGHT), wrong, received(*RIGHT)], SENT) == [complaint]


def test_subscribers_that_disagree_are_noticed() -> None:
    (disagreement,) = complaints([received(*RIGHT), received(*RIGHT, 3)], SENT)
    assert "2 different orders" in disagreement
    assert complaints([received(*RIGHT), received(101, 1, 2, 4, 102, 5)], SENT) == [disagreement]


def test_a_long_list_is_cut_short() -> None:
    assert complaints([received()], [Sent(list(range(1, 1001)))]) == [
        "subscriber 0 lacks 1, 2, 3, 4, 5, 6, 7, 8, … (1000 in all)"
    ]
