"""One secret per lease: the same on both sides, different from all others, and never shown."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from framehaul.contract.lease_secret import SERVER_NAME, LeaseSecret
from framehaul.errors import InputError

ONE, OTHER = LeaseSecret(bytes(range(32))), LeaseSecret(bytes(32))
TIMEOUT_S = 10.0


def test_both_sides_derive_the_same() -> None:
    """From the 64 characters in the environment comes the same token and, byte for byte, the same certificate."""
    agents = LeaseSecret.from_hex(ONE.hex())

    assert agents.token == ONE.token
    assert agents.certificate_pem == ONE.certificate_pem
    assert agents.private_key_pem() == ONE.private_key_pem()


def test_derivation_is_pinned() -> None:
    """A later version that derived another token would lock itself out of machines that still run."""
    assert ONE.token == "6e5fc620531d6862a6b9ed4cb0cf2a3588c32809f90f550cd40e0bac99092d44"


def test_secrets_share_nothing() -> None:
    """Two leases have different tokens, keys, certificates and serials; token and key differ from the secret."""
    fresh = LeaseSecret.new()

    for first, second in ((ONE, OTHER), (ONE, fresh), (LeaseSecret.new(), fresh)):
        assert first.token != second.token
        assert first.certificate_pem != second.certificate_pem
        assert first.private_key_pem() != second.private_key_pem()
        assert _read(first).serial_number != _read(second).serial_number
    assert len({ONE.hex(), ONE.token}) == 2


@given(st.binary(min_size=32, max_size=32))
def test_any_secret_makes_a_certificate(raw: bytes) -> None:
    """No 32 bytes give a serial that X.509 forbids."""
    assert 0 < _read(LeaseSecret(raw)).serial_number < 1 << 159


def _read(secret: LeaseSecret) -> x509.Certificate:
    return x509.load_pem_x509_certificate(secret.certificate_pem)


def test_only_its_own_token_is_accepted() -> None:
    """Another lease's token, a cut one, none, and odd characters are all refused without an error."""
    assert ONE.accepts(ONE.token)
    for token in (OTHER.token, ONE.token[:-1], ONE.token + "0", ONE.token.upper(), "", "é", "\udcff"):
        assert not ONE.accepts(token)


def test_prints_as_stars() -> None:
    """Neither the secret nor what is derived from it shows when it is printed, formatted or nested."""
    ONE.token  # noqa: B018 - what was derived is kept, and must not show either
    for shown in (repr(ONE), str(ONE), f"{ONE}", repr([ONE]), repr({"secret": ONE})):
        assert "***" in shown
        assert ONE.hex()[:8] not in shown
        assert ONE.token[:8] not in shown


@pytest.mark.parametrize("text", ["", "00", "zz" * 32, "0" * 63, "00" * 33, "00" * 31 + "0g", "é" * 64])
def test_bad_hex_is_refused_without_being_shown(text: str) -> None:
    """The sentence says what is wanted and does not repeat what it got."""
    with pytest.raises(InputError, match=r"32 bytes|64 hex") as refusal:
        LeaseSecret.from_hex(text)
    if text:
        assert text not in str(refusal.value)


@contextmanager
def _agent(secret: LeaseSecret, folder: Path) -> Iterator[int]:
    """Serve TLS on loopback, as an agent with this secret would; give the port."""
    (folder / "agent.pem").write_bytes(secret.private_key_pem() + secret.certificate_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "agent.pem")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT_S)

        def serve_one() -> None:
            connection, _ = listener.accept()
            connection.settimeout(TIMEOUT_S)
            try:
                with context.wrap_socket(connection, server_side=True) as channel:
                    channel.sendall(channel.recv(16)[::-1])
            except (ssl.SSLError, ConnectionError):
                pass  # the client hung up on a certificate that it does not trust
            finally:
                connection.close()

        server = threading.Thread(target=serve_one)
        server.start()
        yield listener.getsockname()[1]
        server.join()


def _ask(port: int, trusted: LeaseSecret, *, strict: bool = False, name: str = SERVER_NAME) -> bytes:
    context = ssl.create_default_context(cadata=trusted.certificate_pem.decode())
    if strict:
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    with (
        socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection,
        context.wrap_socket(connection, server_hostname=name) as channel,
    ):
        channel.sendall(b"ping")
        return channel.recv(16)


@pytest.mark.parametrize("strict", [False, True], ids=["usual", "strict"])
def test_controller_accepts_the_agent_with_its_secret(tmp_path: Path, strict: bool) -> None:
    """Trusting the derived certificate alone is enough for a real handshake, under newer Pythons' strictness too."""
    with _agent(ONE, tmp_path) as port:
        assert _ask(port, ONE, strict=strict) == b"gnip"


def test_controller_rejects_an_agent_with_another_secret(tmp_path: Path) -> None:
    """A machine in between, or a neighbour's agent, does not get past the handshake."""
    with _agent(OTHER, tmp_path) as port, pytest.raises(ssl.SSLCertVerificationError):
        _ask(port, ONE)


def test_certificate_is_for_the_agents_name_only(tmp_path: Path) -> None:
    """The pinned certificate does not vouch for any other name."""
    with _agent(ONE, tmp_path) as port, pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        _ask(port, ONE, name="localhost")
