"""The emulators as programs: they start, say where, obey their control routes, and know nothing of ours."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.loopback import loopback


@contextmanager
def program(*words: str) -> Iterator[httpx.Client]:
    """Start one and give a client at its address."""
    with subprocess.Popen([sys.executable, "-m", *words], stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            url = running.stdout.readline().strip()
            with httpx.Client(base_url=url, transport=loopback(), timeout=60) as client:
                yield client
        finally:
            running.terminate()


def test_the_file_server_breaks_by_name_and_counts(tmp_path: Path) -> None:
    """A fault strikes as often as it was told, is mended by null, and the log shows every request for a file."""
    (tmp_path / "clip").write_bytes(b"0123456789")

    with program("tests.emulators.files", "--root", str(tmp_path)) as client:
        client.post("/_control", json={"fault": "status", "code": 503, "times": 1}).raise_for_status()
        client.post("/_control", json={"fault": "ignore_range"}).raise_for_status()
        part = {"Range": "bytes=2-4"}
        replies = [client.get("/clip", headers=part) for _ in range(2)]
        client.post("/_control", json={"fault": None}).raise_for_status()
        replies.append(client.get("/clip", headers=part))
        log = client.get("/_control/log").json()["requests"]

    assert [reply.status_code for reply in replies] == [503, 200, 206]
    assert [reply.content for reply in replies[1:]] == [b"0123456789", b"234"]
    assert [(entry["method"], entry["range"], entry["status"]) for entry in log] == [
        ("GET", "bytes=2-4", status) for status in (503, 200, 206)
    ]


def test_an_unknown_fault_is_refused(tmp_path: Path) -> None:
    """A test with a typing error must not pass for want of a fault."""
    with program("tests.emulators.files", "--root", str(tmp_path)) as client:
        assert client.post("/_control", json={"fault": "cut_afterr"}).status_code == 400


def test_the_file_server_stays_in_its_folder(tmp_path: Path) -> None:
    """What lies beside the folder is not served."""
    (tmp_path / "root").mkdir()
    (tmp_path / "beside").write_bytes(b"x")

    with program("tests.emulators.files", "--root", str(tmp_path / "root")) as client:
        assert client.get("/%2e%2e/beside").status_code == 404


def test_the_clock_tells_and_moves() -> None:
    """An hour that has come is answered at once."""
    with program("tests.emulators.clock", "--start", "1000") as client:
        assert client.get("/now").json()["now"] == 1000
        assert client.post("/advance", json={"seconds": 5}).json()["now"] == 1005
        assert client.get("/wait", params={"until": 1005}).json()["now"] == 1005


@pytest.mark.parametrize("name", ["files", "clock", "shed", "s3_faults", "s3_shelf", "vast.__main__"])
def test_an_emulator_imports_nothing_of_ours(name: str) -> None:
    """Else it would agree with our mistakes."""
    ask = f"import sys, tests.emulators.{name}; print([n for n in sys.modules if n.partition('.')[0] in sys.argv[1:]])"

    told = subprocess.run(
        [sys.executable, "-c", ask, "framehaul", "controller", "agent"], check=True, capture_output=True, text=True
    )

    assert told.stdout == "[]\n"
