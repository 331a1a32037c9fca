# SPDX-License-Identifier: Apache-2.0
"""The parts of AMQP 1.0 that qpid-proton does not show: SASL PLAIN for servers, message formats, single sections."""

import struct
from collections import deque
from collections.abc import Iterator
from typing import Any

from proton import UNDESCRIBED, Array, Data, Described, symbol, ubyte, ulong

AMQP_HEADER, SASL_HEADER = b"AMQP\x00\x01\x00\x00", b"AMQP\x03\x01\x00\x00"
HEADER, DELIVERY_ANNOTATIONS, ANNOTATIONS, PROPERTIES, APPLICATION_PROPERTIES = 0x70, 0x71, 0x72, 0x73, 0x74
DATA, SEQUENCE, VALUE, FOOTER = 0x75, 0x76, 0x77, 0x78
BATCH_FORMAT = 0x80013700  # `vnd.microsoft.batch`: each data section is a message
_ATTACH, _TRANSFER = 0x12, 0x14
_SASL_MECHANISMS, _SASL_OUTCOME = 0x40, 0x44
# The first half of a type's code says how long its values are.
_FIXED = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}
_SIZED = {0xA: 1, 0xB: 4, 0xC: 1, 0xD: 4, 0xE: 1, 0xF: 4}


def encode(value: Any) -> bytes:
    data = Data()
    data.put_object(value)
    return bytes(data.encode())


def decode(encoded: bytes) -> Any:
    data = Data()
    data.decode(encoded)
    data.rewind()
    data.next()
    return copied(data.get_object())


def copied(value: Any) -> Any:
    """The value without views into memory that proton frees together with the message."""
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, dict):
        return {copied(key): copied(each) for key, each in value.items()}
    if isinstance(value, list):
        return [copied(each) for each in value]
    if isinstance(value, Described):
        return Described(value.descriptor, copied(value.value))
    return value


def section(code: int, value: Any) -> bytes:
    return encode(Described(ulong(code), value))


def sections(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The sections of an encoded message with their codes. Raises ValueError if it is not a message."""
    at = 0
    try:
        while at < len(message):
            start, at = at, value_end(message, at)
            code, _ = _described(message, start)
            if not HEADER <= code <= FOOTER or at > len(message):
                raise ValueError(f"no section of a message at byte {start}")
            yield code, message[start:at]
    except (IndexError, KeyError) as error:
        raise ValueError(f"no section of a message at byte {at}") from error


def binary(data_section: bytes) -> bytes:
    """The content of a data section."""
    _, at = _described(data_section, 0)
    return data_section[at + (2 if data_section[at] == 0xA0 else 5):]


def value_end(data: bytes, at: int) -> int:
    """Where the value that begins here ends."""
    code = data[at]
    if code == 0:
        return value_end(data, value_end(data, at + 1))
    if (fixed := _FIXED.get(code >> 4)) is not None:
        return at + 1 + fixed
    width = _SIZED[code >> 4]
    return at + 1 + width + int.from_bytes(data[at + 1:at + 1 + width])


def _described(data: bytes, at: int) -> tuple[int, int]:
    """The descriptor's code, and where the described value begins."""
    if data[at] != 0:
        raise ValueError(f"no described value at byte {at}")
    return _unsigned(data, at + 1), value_end(data, at + 1)


def _unsigned(data: bytes, at: int) -> int:
    """An unsigned integer in any of its encodings."""
    return int.from_bytes(data[at + 1:value_end(data, at)])


def _fields(data: bytes, at: int, count: int) -> list[int]:
    """Where the first fields of the list at this place begin."""
    code = data[at]
    if code == 0x45:
        return []
    width = 1 if code == 0xC0 else 4
    size = int.from_bytes(data[at + 1 + width:at + 1 + 2 * width])
    at += 1 + 2 * width
    places = []
    for _ in range(min(size, count)):
        places.append(at)
        at = value_end(data, at)
    return places


class MessageFormats:
    """The message formats in what a client sends, which proton skips. `take` those of a link in order."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._skip = len(AMQP_HEADER)
        self._names: dict[tuple[int, int], str] = {}
        self._formats: dict[str, deque[int]] = {}
        self._partial: set[tuple[int, int]] = set()

    def take(self, link: str) -> int:
        return self._formats[link].popleft()

    def feed(self, data: bytes) -> None:
        self._rest += data
        at = min(self._skip, len(self._rest))
        self._skip -= at
        while len(self._rest) - at >= 8:
            size, offset, kind, channel = struct.unpack_from(">IBBH", self._rest, at)
            if size < 8 or len(self._rest) - at < size:
                break
            if kind == 0 and size > 4 * offset:
                self._frame(channel, bytes(self._rest[at + 4 * offset:at + size]))
            at += size
        del self._rest[:at]

    def _frame(self, channel: int, frame: bytes) -> None:
        code, at = _described(frame, 0)
        if code == _ATTACH:
            name, handle, role = _fields(frame, at, 3)
            if decode(frame[role:value_end(frame, role)]) is False:  # the client sends
                text = str(decode(frame[name:value_end(frame, name)]))
                self._names[channel, _unsigned(frame, handle)] = text
                self._formats[text] = deque()
        elif code == _TRANSFER:
            places = _fields(frame, at, 6)
            link = channel, _unsigned(frame, places[0])
            if link not in self._partial:
                format = _unsigned(frame, places[3]) if len(places) > 3 else 0
                self._formats[self._names[link]].append(format)
            self._partial.discard(link)
            if len(places) > 5 and frame[places[5]] != 0x40 and decode(frame[places[5]:value_end(frame, places[5])]):
                self._partial.add(link)


def sasl_mechanisms(*names: str) -> bytes:
    undescribed: Any = UNDESCRIBED
    return _sasl_frame(_SASL_MECHANISMS, [Array(undescribed, Data.SYMBOL, *map(symbol, names))])


def sasl_outcome(accepted: bool) -> bytes:
    return _sasl_frame(_SASL_OUTCOME, [ubyte(0 if accepted else 1)])


def sasl_init(frame: bytes) -> tuple[str, bytes]:
    """The mechanism and the initial response that a client sends."""
    fields = decode(frame[4 * frame[4]:]).value
    return str(fields[0]), bytes(fields[1] or b"") if len(fields) > 1 else b""


def _sasl_frame(code: int, fields: list[Any]) -> bytes:
    body = encode(Described(ulong(code), fields))
    return struct.pack(">IBBH", 8 + len(body), 2, 1, 0) + body
