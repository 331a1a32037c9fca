# SPDX-License-Identifier: Apache-2.0
"""Tokens and keys made by another library than the hub's, and a server of key sets."""

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import get_default_algorithms

HOST = "127.0.0.1"
SECRET = "a secret of 64 bytes at least, so that it is long enough for HS512"
ALGORITHMS = [
    *("HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
]
CURVES: dict[str, ec.EllipticCurve] = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}

PrivateKey = str | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True)
class Key:
    """A key for one algorithm."""

    algorithm: str
    private: PrivateKey = field(repr=False)
    kid: str | None = None

    @classmethod
    def make(cls, algorithm: str, kid: str | None = None) -> Self:
        if algorithm.startswith("HS"):
            return cls(algorithm, SECRET, kid)
        if algorithm in CURVES:
            return cls(algorithm, ec.generate_private_key(CURVES[algorithm]), kid)
        if algorithm == "EdDSA":
            return cls(algorithm, ed25519.Ed25519PrivateKey.generate(), kid)
        return cls(algorithm, rsa.generate_private_key(public_exponent=65537, key_size=2048), kid)

    @property
    def public_text(self) -> str:
        """What the hub is configured with: the secret, or the public key in PEM."""
        if isinstance(self.private, str):
            return self.private
        pem = self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem.decode()

    @property
    def private_text(self) -> str:
        """What signs: the secret, or the private key in PEM."""
        if isinstance(self.private, str):
            return self.private
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key as a JSON Web Key."""
        assert not isinstance(self.private, str), "a secret is not for a key set"
        algorithm: Any = get_default_algorithms()[self.algorithm]
        key: dict[str, Any] = json.loads(algorithm.to_jwk(self.private.public_key()))
        key.pop("key_ops", None)
        return key | {"use": "sig", "alg": self.algorithm} | ({"kid": self.kid} if self.kid else {})

    def sign(self, claims: dict[str, Any]) -> str:
        headers = {"kid": self.kid} if self.kid else None
        return jwt.encode(claims, self.private, algorithm=self.algorithm, headers=headers)

    def token(
        self,
        publish: list[str] | None = None,
        subscribe: list[str] | None = None,
        payload: Any = None,
        lifetime: float = 3600,
        **claims: Any,
    ) -> str:
        """A token as Mercure hubs take it; `lifetime` in seconds, which may have passed."""
        rights = {"publish": publish, "subscribe": subscribe, "payload": payload}
        mercure = {name: value for name, value in rights.items() if value is not None}
        return self.sign({"mercure": mercure, "exp": time.time() + lifetime} | claims)

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a token that the hub's command has made. Raises `jwt.InvalidTokenError`."""
        key = self.private if isinstance(self.private, str) else self.private.public_key()
        claims: dict[str, Any] = jwt.decode(token, key, algorithms=[self.algorithm])
        return claims


class KeySetServer:
    """Serves a JSON Web Key Set on a free port, as its fields say. `requests` counts what was asked."""

    def __init__(self, *keys: Key) -> None:
        self.keys = list(keys)
        self.status = 200
        self.body: bytes | None = None  # instead of the keys
        self.delay = 0.0  # seconds before the answer
        self.requests = 0
        handler = type("Handler", (_KeySetHandler,), {"owner": self})
        self._server = ThreadingHTTPServer((HOST, 0), handler)
        self.url = f"http://{HOST}:{self._server.server_address[1]}/jwks.json"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def document(self) -> bytes:
        return self.body if self.body is not None else json.dumps({"keys": [key.jwk for key in self.keys]}).encode()


class _KeySetHandler(BaseHTTPRequestHandler):
    owner: KeySetServer

    def do_GET(self) -> None:
        self.owner.requests += 1
        time.sleep(self.owner.delay)
        body = self.owner.document
        self.send_response(self.owner.status)
        self.send_header("Content-Type", "application/jwk-set+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass
