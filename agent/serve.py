"""Serve until somebody says stop, or the lease is over."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import ipaddress
import json
import logging
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from agent.app import create_app
from agent.service import Agent, Setup
from agent.threads import use_unjoined_threads
from framehaul.atomic import write_atomic
from framehaul.clock import clock_from
from framehaul.contract.lease_secret import SECRET_VARIABLE, LeaseSecret
from framehaul.errors import InputError

_KEEP_ALIVE_S = 75
_GRACEFUL_S = 1

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Served:
    """The words of `agent serve`."""

    home: Path
    host: str
    port: int
    port_file: Path | None
    allow_file_grants: bool
    insecure_loopback: bool


def serve(told: Served) -> None:
    """Run the server; returns when it has ended in order."""
    secret = take_secret()
    if secret is None and not (told.insecure_loopback and _is_loopback(told.host)):
        raise InputError(
            f"{SECRET_VARIABLE} is not set, so nobody could be told apart.",
            advice="Set it to 64 hex characters, or use --insecure-loopback with a loopback --host.",
        )
    told.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if told.port_file:
        told.port_file.unlink(missing_ok=True)  # an earlier run's port would be taken for ours
    asyncio.run(_serve(told, secret))


def take_secret() -> LeaseSecret | None:
    """Read the lease's secret and wipe it, from os.environ and from what /proc shows of this process."""
    text = os.environ.get(SECRET_VARIABLE)
    if not text:
        return None
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_void_p
    address = libc.getenv(SECRET_VARIABLE.encode())
    if address:
        ctypes.memset(address, ord("*"), len(os.fsencode(text)))
    del os.environ[SECRET_VARIABLE]
    return LeaseSecret.from_hex(text)


async def _serve(told: Served, secret: LeaseSecret | None) -> None:
    loop = asyncio.get_running_loop()
    use_unjoined_threads()
    agent = Agent(Setup(told.home, clock_from(), told.allow_file_grants))
    server = _Server(_config(agent, told, secret), told.port_file)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, agent.ended.set)
    listener = _listen(told.host, told.port)
    ending = asyncio.create_task(server.end_with(agent.ended))
    await server.serve(sockets=[listener])
    ending.cancel()
    _log.info("ended")


class _Server(uvicorn.Server):
    """Uvicorn that tells its port once it listens, and leaves signals to us."""

    def __init__(self, config: uvicorn.Config, port_file: Path | None) -> None:
        super().__init__(config)
        self._port_file = port_file

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say where."""
        await super().startup(sockets)
        port = sockets[0].getsockname()[1] if sockets else self.config.port
        _log.info("serving %s on port %d", "https" if self.config.is_ssl else "http", port)
        if self._port_file:
            write_atomic(self._port_file, json.dumps({"port": port, "pid": os.getpid()}))

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: uvicorn would die by the signal again once it has shut down."""
        yield

    async def end_with(self, ended: asyncio.Event) -> None:
        """Shut down when the event comes."""
        await ended.wait()
        self.should_exit = True


def _config(agent: Agent, told: Served, secret: LeaseSecret | None) -> uvicorn.Config:
    config = uvicorn.Config(
        create_app(agent, secret),
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACEFUL_S,
        proxy_headers=False,
    )
    if secret:
        _load_certificate(config, told.home, secret)
    else:
        config.load()
    return config


def _load_certificate(config: uvicorn.Config, home: Path, secret: LeaseSecret) -> None:
    """Let OpenSSL read key and certificate from files, which is all it can, and remove them at once."""
    key, certificate = home / "agent.key", home / "agent.crt"
    try:
        write_atomic(key, secret.private_key_pem(), mode=0o600)
        write_atomic(certificate, secret.certificate_pem, mode=0o600)
        config.ssl_keyfile, config.ssl_certfile = key, certificate
        config.load()
    finally:
        key.unlink(missing_ok=True)
        certificate.unlink(missing_ok=True)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as exc:
        listener.close()
        raise InputError(f"Cannot listen on {host} port {port}: {exc.strerror}.") from exc
    return listener


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
