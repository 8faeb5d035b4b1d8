"""Stand between the laptop and an agent, and write down in clear what both say: a launcher for the local cloud.

    providers: {local: {launcher: [python, -m, tests.journeys.eavesdrop, FOLDER]}}

It knows the lease's secret, as only the machine does, so that it can show the agent's own certificate. The agent is
started as it was meant to be, on a port of its own; each connection becomes one file of FOLDER.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

from framehaul.contract.lease_secret import SECRET_VARIABLE, LeaseSecret

_PIECE_BYTES = 1 << 16


def main(words: list[str]) -> int:
    """Start the agent and pass everything on, until it ends; gives its exit code."""
    folder, command = Path(words[0]), words[1:]
    told = Path(command[command.index("--port-file") + 1])
    inner = told.with_name("inner.json")
    inner.unlink(missing_ok=True)
    command[command.index("--port-file") + 1] = str(inner)
    secret = LeaseSecret.from_hex(os.environ[SECRET_VARIABLE])
    agent = subprocess.Popen(command)
    while not inner.exists():
        if agent.poll() is not None:
            return agent.returncode
        time.sleep(0.02)
    port = json.loads(inner.read_text())["port"]
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_listen, args=(listener, _shown(secret, folder), port, folder), daemon=True).start()
    draft = told.with_name("outer.json")
    draft.write_text(json.dumps({"port": listener.getsockname()[1], "pid": agent.pid}))
    draft.replace(told)
    return agent.wait()


def _shown(secret: LeaseSecret, folder: Path) -> ssl.SSLContext:
    """Make the context that shows the agent's certificate."""
    certificate = folder / f"{os.getpid()}.pem"
    certificate.write_bytes(_bytes(secret.private_key_pem()) + _bytes(secret.certificate_pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    certificate.unlink()
    return context


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _listen(listener: socket.socket, shown: ssl.SSLContext, port: int, folder: Path) -> None:
    for number in itertools.count():
        caller, _ = listener.accept()
        record = folder / f"{os.getpid()}.{number}.heard"
        threading.Thread(target=_between, args=(caller, shown, port, record), daemon=True).start()


def _between(caller: socket.socket, shown: ssl.SSLContext, port: int, record: Path) -> None:
    """Join one caller to the agent; the record holds what both said, in the order in which it came."""
    inward = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    inward.check_hostname, inward.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            shown.wrap_socket(caller, server_side=True) as laptop,
            inward.wrap_socket(socket.create_connection(("127.0.0.1", port))) as agent,
            record.open("ab", buffering=0) as heard,
        ):
            back = threading.Thread(target=_pass_on, args=(agent, laptop, heard), daemon=True)
            back.start()
            _pass_on(laptop, agent, heard)
            back.join()
    except OSError:
        return  # one of them hung up in the middle, as they may


def _pass_on(source: ssl.SSLSocket, target: ssl.SSLSocket, heard: object) -> None:
    try:
        while data := source.recv(_PIECE_BYTES):
            heard.write(data)  # type: ignore[attr-defined]
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        target.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
