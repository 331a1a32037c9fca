# SPDX-License-Identifier: Apache-2.0
"""What an EventSource makes of the bytes that it is sent, as they come. Both raise ValueError where they are wrong."""

from collections.abc import Iterator


class Response:
    """An HTTP/1.1 response: `feed` takes bytes of the connection and returns those of the body (RFC 9112)."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.is_complete = False
        self._rest = b""
        self._missing: int | None = None  # of a body whose length is known

    def feed(self, data: bytes) -> bytes:
        data = self._rest + data
        if not self.status:
            head, found, rest = data.partition(b"\r\n\r\n")
            if not found:
                self._rest = data
                return b""
            self._read_head(head)
            data = rest
        if self._missing is None:
            return self._unchunk(data)
        self._missing -= len(data)
        self._rest = b""
        self.is_complete = self._missing <= 0
        return data

    def _read_head(self, head: bytes) -> None:
        status, *fields = head.decode("latin-1").split("\r\n")
        self.status = int(status.split(" ")[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        if self.headers.get("transfer-encoding") != "chunked":
            self._missing = int(self.headers["content-length"])

    def _unchunk(self, data: bytes) -> bytes:
        chunks: list[bytes] = []
        start = 0
        while (line_end := data.find(b"\r\n", start)) >= 0:
            size = int(data[start:line_end], 16)
            end = line_end + 2 + size
            if len(data) < end + 2:
                break
            if data[end : end + 2] != b"\r\n":
                raise ValueError("a chunk does not end where it says")
            chunks.append(data[line_end + 2 : end])
            start = end + 2
            if size == 0:
                self.is_complete = True
                break
        self._rest = data[start:]
        return b"".join(chunks)


class EventStream:
    """The body of a stream: `feed` takes bytes and yields the events as type and data (WHATWG HTML, section 9.2.6).

    Lines end with LF, as Martlet writes them. A block that is not complete counts for nothing.
    """

    def __init__(self) -> None:
        self.last_id: str | None = None
        self.retry: float | None = None  # seconds
        self._rest = b""

    def feed(self, body: bytes) -> Iterator[tuple[str, str]]:
        *blocks, self._rest = (self._rest + body).split(b"\n\n")
        for block in blocks:
            kind = "message"
            data: list[str] = []
            for line in block.decode().split("\n"):
                name, _, value = line.partition(": ")
                match name:
                    case "data":
                        data.append(value)
                    case "id":
                        self.last_id = value
                    case "event":
                        kind = value
                    case "retry":
                        self.retry = int(value) / 1000
            if data:
                yield kind, "\n".join(data)
