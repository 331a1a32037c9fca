# SPDX-License-Identifier: Apache-2.0
"""What the Kafka brokers of the tests lack: TLS, SASL, and an address that survives them."""

import asyncio
import datetime
import ipaddress
import ssl
import struct
from contextlib import suppress
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from loop_thread import LoopThread
from support import HOST, free_port

METADATA, SASL_HANDSHAKE, API_VERSIONS, SASL_AUTHENTICATE = 3, 17, 18, 36
UNSUPPORTED_MECHANISM, ILLEGAL_STATE, AUTHENTICATION_FAILED = 33, 34, 58
# Newer versions of this request have other forms, so clients do not see that the broker knows them.
NEWEST = {METADATA: 8}


class Authority:
    """A certificate authority of the tests. `ca` is the file that clients trust."""

    def __init__(self, directory: Path, name: str = "tests") -> None:
        self._directory, self._name = directory, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Authority of {name}")])
        certificate = (
            self._builder(self._subject, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.ca = directory / f"{name}-ca.pem"
        self.ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server(self, *hosts: str) -> ssl.SSLContext:
        """TLS with a certificate for these hosts, by default 127.0.0.1 and localhost."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate(*hosts))
        return context

    def certificate(self, *hosts: str) -> Path:
        """A file with a key and a certificate for these hosts, by default 127.0.0.1 and localhost."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [_host(host) for host in hosts or (HOST, "localhost")]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
        authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            self._builder(subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(authority_key, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        file = self._directory / f"{self._name}-{'-'.join(hosts) or 'server'}.pem"
        form = serialization.PrivateFormat.PKCS8
        file.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
            + certificate.public_bytes(serialization.Encoding.PEM))
        return file

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )


def _host(name: str) -> x509.GeneralName:
    with suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.DNSName(name)


def _usage(digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature, key_cert_sign=key_cert_sign, crl_sign=crl_sign, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False)


class SecureProxy:
    """Stands in front of one plain-text broker. Clients that follow the broker's metadata connect to it again.

    With `tls`, it speaks TLS; with `user`, nothing passes before SASL PLAIN with these credentials. With neither, it
    only keeps an address: set `target` to another broker, and the broker has "come back" without its data.
    `authenticated` and `refused` count logins.
    """

    def __init__(
        self, target: str, tls: ssl.SSLContext | None = None, user: str | None = None, password: str = ""
    ) -> None:
        """`target`: the broker, as host:port."""
        self.target, self.port = target, free_port()
        self.authenticated = self.refused = 0
        self.user, self.password = user, password
        self._tls = tls
        self._loop = LoopThread()
        self._listener: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def servers(self) -> str:
        return f"{HOST}:{self.port}"

    def __enter__(self) -> Self:
        self._loop.start()
        self.accept()
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self._loop.stop()

    def accept(self) -> None:
        """Accepts connections again."""
        self._loop.run(self._accept())

    def refuse(self) -> None:
        """Ends all connections and refuses new ones."""
        self._loop.run(self._refuse())

    async def _accept(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, HOST, self.port, ssl=self._tls)

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        connections = list(self._connections)
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                host, port = self.target.rsplit(":", 1)
                answers, broker = await asyncio.open_connection(host, int(port))
                try:
                    await _Connection(self, reader, writer, answers, broker).run()
                finally:
                    broker.close()
        finally:
            self._connections.discard(task)
            writer.close()


class _Connection:
    """A connection of a client, and the one to the broker behind it."""

    def __init__(
        self, proxy: SecureProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
        answers: asyncio.StreamReader, broker: asyncio.StreamWriter,
    ) -> None:
        self._proxy, self._reader, self._writer, self._answers, self._broker = proxy, reader, writer, answers, broker
        self._passed = proxy.user is None
        self._chosen = False  # the mechanism
        self._asked: dict[int, tuple[int, int]] = {}  # correlation id: (kind, version), where the answer is rewritten

    async def run(self) -> None:
        sides = [asyncio.ensure_future(self._requests()), asyncio.ensure_future(self._replies())]
        try:
            done, _ = await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
            for side in done:
                side.result()
        finally:
            for side in sides:
                side.cancel()
            await asyncio.gather(*sides, return_exceptions=True)

    async def _requests(self) -> None:
        while True:
            request = await _frame(self._reader)
            kind, version, correlation = struct.unpack_from(">hhi", request)
            if kind == SASL_HANDSHAKE and self._proxy.user is not None:
                mechanism = _Reader(request, _header_end(request)).string()
                self._chosen = mechanism == "PLAIN"
                code = 0 if self._chosen else UNSUPPORTED_MECHANISM
                await self._answer(correlation, struct.pack(">hi", code, 1) + _string("PLAIN"))
            elif kind == SASL_AUTHENTICATE and self._proxy.user is not None:
                await self._authenticate(request, version, correlation)
            elif not self._passed and kind != API_VERSIONS:
                return  # as brokers do
            else:
                if kind in (METADATA, API_VERSIONS):
                    self._asked[correlation] = (kind, version)
                self._broker.write(struct.pack(">i", len(request)) + request)
                await self._broker.drain()

    async def _authenticate(self, request: bytes, version: int, correlation: int) -> None:
        given = _Reader(request, _header_end(request)).sized()
        right = self._chosen and self._is_right(given)
        code = 0 if right else AUTHENTICATION_FAILED if self._chosen else ILLEGAL_STATE
        reason = None if right else "Authentication failed: Invalid username or password"
        lifetime = struct.pack(">q", 0) if version == 1 else b""
        await self._answer(correlation, struct.pack(">h", code) + _string(reason) + struct.pack(">i", 0) + lifetime)
        self._finish(right)

    def _is_right(self, given: bytes) -> bool:
        identity, _, rest = given.partition(b"\0")
        expected = f"{self._proxy.user}\0{self._proxy.password}".encode()
        return rest == expected and identity.decode() in ("", self._proxy.user)

    def _finish(self, right: bool) -> None:
        self._passed = right
        if right:
            self._proxy.authenticated += 1
        else:
            self._proxy.refused += 1
            raise ConnectionRefusedError

    async def _answer(self, correlation: int, body: bytes) -> None:
        await self._send(struct.pack(">i", correlation) + body)

    async def _send(self, answer: bytes) -> None:
        self._writer.write(struct.pack(">i", len(answer)) + answer)
        await self._writer.drain()

    async def _replies(self) -> None:
        while True:
            reply = await _frame(self._answers)
            asked = self._asked.pop(struct.unpack_from(">i", reply)[0], None)
            await self._send(reply if asked is None else rewritten(
                reply, *asked, HOST, self._proxy.port, sasl=self._proxy.user is not None))


def rewritten(reply: bytes, kind: int, version: int, host: str, port: int, sasl: bool) -> bytes:
    """The broker's answer with the proxy's address, and with the requests that the proxy understands."""
    fields = _Reader(reply, 4)
    if kind == METADATA:
        if version >= 3:
            fields.skip(4)  # throttle time
        return _with_address(fields, host, port, rack=version >= 1)
    # ApiVersions. Its answer has the old header in all versions.
    if fields.take(2) != b"\0\0":
        return reply  # an error; the client asks again in an older version
    flexible = version >= 3
    start = fields.at
    kinds: dict[int, tuple[int, int]] = {}
    for _ in range(fields.varint() - 1 if flexible else fields.length()):
        key, least, most = struct.unpack(">hhh", fields.take(6))
        kinds[key] = (least, min(most, NEWEST.get(key, most)))
        if flexible:
            fields.skip_tags()
    if sasl:
        kinds |= {SASL_HANDSHAKE: (0, 1), SASL_AUTHENTICATE: (0, 1)}
    count = _varint(len(kinds) + 1) if flexible else struct.pack(">i", len(kinds))
    end = b"\0" if flexible else b""
    each = b"".join(struct.pack(">hhh", key, *kinds[key]) + end for key in sorted(kinds))
    # Without the broker's tags at the end, in which librdkafka 2.0 goes astray.
    return reply[:start] + count + each + (fields.take(4) + end if flexible else reply[fields.at:])


def _with_address(fields: "_Reader", host: str, port: int, rack: bool) -> bytes:
    """Puts the address into the list of brokers that begins here. A broker is an id, a host, a port, and a rack."""
    count = fields.length()
    answer = fields.data[:fields.at]
    for _ in range(count):
        answer += fields.take(4)
        fields.string()
        fields.skip(4)
        answer += _string(host) + struct.pack(">i", port)
        start = fields.at
        if rack:
            fields.string()
        answer += fields.data[start:fields.at]
    return answer + fields.data[fields.at:]


async def _frame(reader: asyncio.StreamReader) -> bytes:
    size = struct.unpack(">i", await reader.readexactly(4))[0]
    return await reader.readexactly(size)


def _header_end(request: bytes) -> int:
    """Where the header of a request ends: with the name of the client."""
    length = int(struct.unpack_from(">h", request, 8)[0])
    return 10 + max(length, 0)


def _string(text: str | None) -> bytes:
    return struct.pack(">h", -1) if text is None else struct.pack(">h", len(text)) + text.encode()


def _varint(number: int) -> bytes:
    answer = b""
    while number > 0x7F:
        answer += bytes([number & 0x7F | 0x80])
        number >>= 7
    return answer + bytes([number])


class _Reader:
    """Reads the fields of a request or an answer one after another."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def take(self, count: int) -> bytes:
        assert self.at + count <= len(self.data), "the frame ends within a field"
        self.at += count
        return self.data[self.at - count:self.at]

    def skip(self, count: int) -> None:
        self.take(count)

    def varint(self) -> int:
        number = shift = 0
        while True:
            byte = self.take(1)[0]
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    def length(self) -> int:
        """The length of an array or of bytes."""
        return int(struct.unpack(">i", self.take(4))[0])

    def string(self) -> str:
        length = struct.unpack(">h", self.take(2))[0]
        return self.take(max(length, 0)).decode()

    def sized(self) -> bytes:
        return self.take(self.length())

    def skip_tags(self) -> None:
        for _ in range(self.varint()):
            self.varint()
            self.skip(self.varint())
