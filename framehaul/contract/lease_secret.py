"""One secret per lease, from which both sides derive the bearer token and the agent's certificate.

The controller therefore knows the agent's exact certificate before the machine exists, and pins it.
HKDF-SHA256 (RFC 5869); Ed25519 (RFC 8032) signs without randomness, so the certificate is the same bytes twice.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from framehaul.errors import InputError

SECRET_VARIABLE = "FRAMEHAUL_LEASE_SECRET"  # noqa: S105 - a name, not a secret
SERVER_NAME = "agent.framehaul.invalid"
_BYTES = 32
_NOT_BEFORE = datetime(2020, 1, 1, tzinfo=UTC)
_NOT_AFTER = datetime(2120, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, repr=False)
class LeaseSecret:
    """32 random bytes; prints as ***."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != _BYTES:
            raise InputError(f"A lease secret has {_BYTES} bytes, this one has {len(self.raw)}.")

    def __repr__(self) -> str:
        return "LeaseSecret(***)"

    @classmethod
    def new(cls) -> LeaseSecret:
        """Draw a fresh one from the system's randomness."""
        return cls(secrets.token_bytes(_BYTES))

    @classmethod
    def from_hex(cls, text: str) -> LeaseSecret:
        """Read the 64 hex characters of an environment variable."""
        try:
            return cls(bytes.fromhex(text))
        except ValueError as exc:
            raise InputError(f"{SECRET_VARIABLE} must be {2 * _BYTES} hex characters.") from exc

    def hex(self) -> str:
        """Write it for an environment variable."""
        return self.raw.hex()

    @cached_property
    def token(self) -> str:
        """The bearer token, 64 hex characters."""
        return self._derive(b"framehaul/v1/bearer").hex()

    def accepts(self, token: str) -> bool:
        """Compare a presented token in constant time."""
        return hmac.compare_digest(self.token.encode(), token.encode(errors="replace"))

    @cached_property
    def certificate_pem(self) -> bytes:
        """The agent's certificate: fixed serial, fixed dates, signed by its own key."""
        key = self._key()
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, SERVER_NAME)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(int.from_bytes(self._derive(b"framehaul/v1/serial")[:16], "big") >> 1 | 1)
            .not_valid_before(_NOT_BEFORE)
            .not_valid_after(_NOT_AFTER)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(SERVER_NAME)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        )
        return builder.sign(key, None).public_bytes(serialization.Encoding.PEM)

    def private_key_pem(self) -> bytes:
        """The certificate's key, for the agent alone."""
        return self._key().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._derive(b"framehaul/v1/tls"))

    def _derive(self, info: bytes) -> bytes:
        return HKDF(algorithm=hashes.SHA256(), length=_BYTES, salt=None, info=info).derive(self.raw)
