"""The cloud of docs/add-a-provider.md: machines are posted, listed, started and deleted over HTTP.

    python -m tests.emulators.shed --root DIR --image DIR --port 8099 --key KEY

A machine is a folder below `root` (its disk) and, while it runs, the process that its order names, with `image` on
the process's PYTHONPATH and nothing in its environment but what the order gave. Every route wants `Authorization:
Bearer KEY`.

GET    /offers                {"offers": [{"id", "name", "dollars_per_hour", "disk_gb"}, …]}, machines that are free
POST   /machines              {"offer", "label", "command", "env"}: 201 and the machine; 409 when the offer is taken.
                              A `{port}` in the command becomes the port that the machine was given.
GET    /machines              {"machines": [{"id", "label", "state": "running" | "exited", "host", "port"}, …]}
POST   /machines/ID/start     start the process again, on the disk that it had
DELETE /machines/ID           end the process, remove the disk
POST   /_control              {"exit": ID} ends a machine's process; {"fault": NAME, "times": n} breaks the next n
GET    /_control/orders       {"orders": […]}: every order that ever made a machine, as it came

Faults:
    rent_reply_lost     the machine is made, and the connection closed without an answer
    list_odd            the list comes in another shape
    busy                answered with 503
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FAULTS = {"rent_reply_lost", "list_odd", "busy"}
OFFERS = {"oak": 0.96, "ash": 0.72}  # dollars per hour


@dataclass
class Machine:
    """One machine, from its order on."""

    order: dict[str, Any]
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Say whether its process is there."""
        return self.process is not None and self.process.poll() is None

    def end(self) -> None:
        """Kill the process and its group."""
        if self.process is not None and self.running:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@dataclass
class Shed:
    """All machines, by id."""

    root: Path
    image: Path
    key: str
    machines: dict[str, Machine] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    orders: list[dict[str, Any]] = field(default_factory=list)

    def strikes(self, name: str) -> bool:
        """Say whether a fault strikes now, and count it down."""
        with self.lock:
            left = self.faults.get(name, 0)
            self.faults[name] = max(0, left - 1)
            return left > 0

    def offers(self) -> list[dict[str, Any]]:
        """List what nobody has."""
        taken = {machine.order["offer"] for machine in self.machines.values()}
        return [
            {"id": name, "name": f"A shed of {name}", "dollars_per_hour": price, "disk_gb": 8.0}
            for name, price in OFFERS.items()
            if name not in taken
        ]

    def make(self, order: dict[str, Any]) -> str | None:
        """Make a machine and start it; None when its offer is taken."""
        with self.lock:
            if order["offer"] not in {offer["id"] for offer in self.offers()}:
                return None
            self.orders.append(order)
            ref = f"m-{len(self.orders)}"
            self.machines[ref] = Machine(order, _free_port())
            self.start(ref)
            return ref

    def start(self, ref: str) -> None:
        """Start a machine's process unless it runs."""
        machine = self.machines[ref]
        if machine.running:
            return
        disk = self.root / ref
        disk.mkdir(parents=True, exist_ok=True)
        command = [str(word).replace("{port}", str(machine.port)) for word in machine.order["command"]]
        environment = {"PATH": os.environ["PATH"], "HOME": str(disk), "PYTHONPATH": str(self.image)}
        with (disk / "log").open("ab") as log:
            machine.process = subprocess.Popen(
                [sys.executable if command[0] == "python" else command[0], *command[1:]],
                cwd=disk,
                env={**environment, **machine.order["env"]},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def delete(self, ref: str) -> None:
        """End a machine, disk included."""
        self.machines[ref].end()
        shutil.rmtree(self.root / ref, ignore_errors=True)
        del self.machines[ref]

    def describe(self, ref: str) -> dict[str, Any]:
        """Say of a machine what the list says."""
        machine = self.machines[ref]
        state = "running" if machine.running else "exited"
        return {"id": ref, "label": machine.order["label"], "state": state, "host": "127.0.0.1", "port": machine.port}

    def close(self) -> None:
        """End everything."""
        with self.lock:
            for ref in list(self.machines):
                self.delete(ref)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    shed: Shed


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        """List offers or machines."""
        shed = self.server.shed
        if self._words() == ["_control", "orders"]:
            return self._tell(200, {"orders": shed.orders})
        if not self._may():
            return None
        with shed.lock:
            match self._words():
                case ["offers"]:
                    self._tell(200, {"offers": shed.offers()})
                case ["machines"] if shed.strikes("list_odd"):
                    self._tell(200, {"machines": None})
                case ["machines"]:
                    self._tell(200, {"machines": [shed.describe(ref) for ref in shed.machines]})
                case _:
                    self._tell(404, {"error": "no such place"})
        return None

    def do_POST(self) -> None:
        """Make or start a machine, or break something."""
        shed = self.server.shed
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if self._words() == ["_control"]:
            self._control(body)
        elif self._may():
            match self._words():
                case ["machines"]:
                    self._make(body)
                case ["machines", ref, "start"] if ref in shed.machines:
                    shed.start(ref)
                    self._tell(200, shed.describe(ref))
                case _:
                    self._tell(404, {"error": "no such machine"})

    def do_DELETE(self) -> None:
        """Delete a machine."""
        shed = self.server.shed
        if not self._may():
            return
        with shed.lock:
            match self._words():
                case ["machines", ref] if ref in shed.machines:
                    shed.delete(ref)
                    self._tell(200, {})
                case _:
                    self._tell(404, {"error": "no such machine"})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Keep quiet."""

    def _words(self) -> list[str]:
        return self.path.strip("/").split("/")

    def _may(self) -> bool:
        if self.headers.get("Authorization") != f"Bearer {self.server.shed.key}":
            self._tell(401, {"error": "who are you?"})
        elif self.server.shed.strikes("busy"):
            self._tell(503, {"error": "try again"})
        else:
            return True
        return False

    def _make(self, order: dict[str, Any]) -> None:
        ref = self.server.shed.make(order)
        if self.server.shed.strikes("rent_reply_lost"):
            self.close_connection = True
        elif ref is None:
            self._tell(409, {"error": f"{order['offer']} is taken"})
        else:
            self._tell(201, self.server.shed.describe(ref))

    def _control(self, words: dict[str, Any]) -> None:
        shed = self.server.shed
        match words:
            case {"exit": str(ref)} if ref in shed.machines:
                shed.machines[ref].end()
            case {"fault": str(name), "times": int(times)} if name in FAULTS:
                shed.faults[name] = times
            case _:
                return self._tell(400, {"error": "no such machine or fault"})
        return self._tell(200, {})

    def _tell(self, status: int, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


class ShedServer:
    """The server on a port of loopback, in a thread of this process; closing it ends every machine."""

    def __init__(self, root: Path, image: Path, key: str, port: int = 0) -> None:
        self.shed = Shed(root, image, key)
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.shed = self.shed
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def __enter__(self) -> ShedServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.shed.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def main() -> None:
    """Serve until SIGTERM or Ctrl-C; the first line printed is the address."""
    words = argparse.ArgumentParser(description="A cloud of child processes.")
    words.add_argument("--root", type=Path, required=True)
    words.add_argument("--image", type=Path, required=True)
    words.add_argument("--port", type=int, default=0)
    words.add_argument("--key", required=True)
    told = words.parse_args()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with ShedServer(told.root.resolve(), told.image.resolve(), told.key, told.port) as server:
        print(server.url, flush=True)
        ended.wait()


if __name__ == "__main__":
    main()
