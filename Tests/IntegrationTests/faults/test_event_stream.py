# SPDX-License-Identifier: Apache-2.0
"""The subscribers of the tests read a stream as it is, wherever its bytes are cut."""

import pytest

from event_stream import EventStream, Response

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
BLOCKS = [
    b":\nretry: 1500\nid: a\n\n",
    b"id: b\ndata: one\ndata: two\n\n",
    b"event: gap\nid: c\ndata: {}\n\n",
    b"id: d\n\n",
]
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(b"%x\r\n%s\r\n" % (len(b), b) for b in BLOCKS)
EVENTS = [("message", "one\ntwo"), ("gap", "{}")]


@pytest.mark.parametrize("size", range(1, 40))
def test_events_are_read_from_any_pieces(size: int) -> None:
    data = CHUNKED + b"0\r\n\r\n"
    response, stream = Response(), EventStream()
    events: list[tuple[str, str]] = []
    for start in range(0, len(data), size):
        assert not response.is_complete
        events += stream.feed(response.feed(data[start : start + size]))
    assert response.is_complete and response.status == 200
    assert (events, stream.last_id, stream.retry) == (EVENTS, "d", 1.5)


def test_what_is_cut_off_counts_for_nothing() -> None:
    response, stream = Response(), EventStream()
    assert list(stream.feed(response.feed(CHUNKED[:-4]))) == EVENTS
    assert stream.last_id == "c" and not response.is_complete


def test_a_body_may_have_a_length() -> None:
    response, stream = Response(), EventStream()
    assert list(stream.feed(response.feed(HEAD + b"Content-Length: 15\r\n\r\nretry: 10\n"))) == []
    assert not response.is_complete
    assert list(stream.feed(response.feed(b"\nid: "))) == []
    assert response.is_complete and stream.retry == 0.01


@pytest.mark.parametrize("chunk", [b"5\r\nabc\r\nx\r\n", b"x\r\n"])
def test_broken_framing_is_noticed(chunk: bytes) -> None:
    with pytest.raises(ValueError):
        Response().feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
