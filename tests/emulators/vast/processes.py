"""An instance's real process: its onstart in its own folder, with vast's variables; killed with all that it started."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tests.emulators.vast.life import Instance

_ROUNDS = 5  # one that forks while it is looked for is found by the next round


class Bodies(Protocol):
    """What makes instances real."""

    def start(self, instance: Instance) -> None:
        """Begin its process; called when it reaches `running`."""

    def kill(self, instance: Instance) -> None:
        """End its process and all that came of it; the folder stays. Idempotent."""

    def remove(self, instance: Instance) -> None:
        """Kill, and remove the folder. Idempotent."""

    def pause(self, instance: Instance, *, on: bool) -> None:
        """Hold its processes, or let them go on: the host is away, or back."""

    def ended(self, instance: Instance) -> bool:
        """Say whether the process that is the container ended by itself."""


class Processes:
    """Folders below `root`, one an instance; `image` is the environment that every image brings along."""

    def __init__(self, root: Path, image: Mapping[str, str] | None = None) -> None:
        self.root = root
        self._image = dict(image or {})
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def folder(self, number: int) -> Path:
        """Name an instance's folder, its disk."""
        return self.root / f"C.{number}"

    def log(self, number: int) -> str:
        """Read what the process printed so far; it stays after the folder."""
        path = self.root / f"C.{number}.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def pid(self, number: int) -> int | None:
        """Give the process that leads the group."""
        process = self._running.get(number)
        return None if process is None else process.pid

    def start(self, instance: Instance) -> None:
        """Run its onstart, or its args."""
        self.kill(instance)
        folder = self.folder(instance.id)
        folder.mkdir(parents=True, exist_ok=True)
        with (self.root / f"C.{instance.id}.log").open("ab") as log:
            self._running[instance.id] = subprocess.Popen(
                _command(instance.order),
                cwd=folder,
                env=self._environment(instance, folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, instance: Instance) -> None:
        """Kill the group, then whoever left the group and still carries this instance's key."""
        process = self._running.pop(instance.id, None)
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for _ in range(_ROUNDS):
            if not (left := _carrying(f"CONTAINER_API_KEY={instance.key}")):
                break
            for pid in left:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)

    def pause(self, instance: Instance, *, on: bool) -> None:
        """Stop or continue the group: a host that is away answers nothing, and is not dead."""
        process = self._running.get(instance.id)
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGSTOP if on else signal.SIGCONT)

    def remove(self, instance: Instance) -> None:
        """Kill it and remove its disk."""
        self.kill(instance)
        shutil.rmtree(self.folder(instance.id), ignore_errors=True)

    def ended(self, instance: Instance) -> bool:
        """Say so of runtype `args` only: with ssh and jupyter the container outlives its onstart (1.4)."""
        process = self._running.get(instance.id)
        if process is None or not _is_args(instance.order):
            return False
        # Not poll(): while nobody waits for the process, its number and its group's stay its own, and kill() is safe.
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _environment(self, instance: Instance, folder: Path) -> dict[str, str]:
        """Give what a container sees (1.10), and nothing of the emulator's own environment but the PATH."""
        named = {name: str(value) for name, value in instance.order["env"].items() if not name.startswith("-")}
        mapped = {}
        for inner, outer in instance.ports.items():
            number, _, way = inner.partition("/")
            mapped[f"VAST_{way.upper()}_PORT_{number}"] = str(outer)
        return {
            **{"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"},
            **self._image,
            **{"CONTAINER_ID": str(instance.id), "CONTAINER_API_KEY": instance.key},
            **{"VAST_CONTAINERLABEL": f"C.{instance.id}", "PUBLIC_IPADDR": "127.0.0.1"},
            **{"GPU_COUNT": str(instance.offer["num_gpus"]), "DATA_DIRECTORY": str(folder)},
            **{"SSH_PUBLIC_KEY": "\n".join(instance.ssh_keys.values())},
            **mapped,
            **named,
        }


def mapped_ports(order: Mapping[str, object], free: Mapping[str, int]) -> dict[str, int]:
    """Map the ports of an order's env ("-p 8000:8000", "-p 1:1/udp") to free ones of loopback; `free` are kept."""
    env = order["env"]
    assert isinstance(env, Mapping)
    wanted = ["22/tcp"] if "ssh_direc" in str(order.get("runtype") or "") else []
    for word in env:
        if str(word).startswith("-p "):
            ports, _, way = str(word).removeprefix("-p ").strip().partition("/")
            wanted.append(f"{ports.rpartition(':')[2]}/{way or 'tcp'}")
    return {inner: free.get(inner) or _free_port(inner) for inner in wanted}


def _command(order: Mapping[str, object]) -> list[str]:
    onstart = str(order.get("onstart") or "")
    if not _is_args(order):
        return ["/bin/sh", "-c", onstart]
    given = order.get("args") or order.get("args_str") or []
    words = shlex.split(given) if isinstance(given, str) else [str(word) for word in given]  # type: ignore[attr-defined]
    # 1.4, as dstack does: with runtype args, onstart replaces the entrypoint and args are its words.
    return [*shlex.split(onstart), *words] or ["/bin/true"]


def _is_args(order: Mapping[str, object]) -> bool:
    return order.get("runtype") == "args"


def _free_port(inner: str) -> int:
    """Find one; a port from 70000 on is asked for by its number alone (1.4), and gets one like any other."""
    kind = socket.SOCK_DGRAM if inner.endswith("/udp") else socket.SOCK_STREAM
    with socket.socket(type=kind) as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _carrying(word: str) -> list[int]:
    """Find processes by a word of their environment that nobody else has; where there is no /proc, none."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # ended meanwhile, or somebody else's
            if word.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found
