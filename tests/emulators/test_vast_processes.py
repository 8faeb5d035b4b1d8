"""Emulated instances as real processes: what they see, when they start, and that nothing of them is left."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.emulators.vast_scene import RUNNING_S, Scene, client, pipe

SLEEP = "exec sleep 1000"


def test_a_process_sees_what_a_container_sees(scene: Scene, tmp_path: Path) -> None:
    """vast's variables, the order's, its own folder, and nothing of the emulator's environment."""
    heard = pipe(tmp_path)
    number = scene.run(
        onstart=f"{heard.onstart}env >&3; pwd >&3; echo --- >&3; {SLEEP}",
        env={"A": "b c=d", "-p 8000:8000": "1", "-p 70000:70000": "1", "-p 53:53/udp": "1", "-h box": "1"},
    )
    with heard.opened() as lines:
        told = list(iter(lambda: lines.readline().rstrip("\n"), "---"))
        seen = dict(line.partition("=")[::2] for line in told[:-1])

        here = scene.vast.instances()[number]
        assert told[-1] == here["folder"]
        assert (seen["CONTAINER_ID"], seen["CONTAINER_API_KEY"]) == (str(number), here["key"])
        assert (seen["VAST_CONTAINERLABEL"], seen["PUBLIC_IPADDR"]) == (f"C.{number}", "127.0.0.1")
        assert (seen["GPU_COUNT"], seen["A"]) == ("1", "b c=d")
        ports = scene.show(number)["ports"]
        for inner, name in (("8000/tcp", "TCP_PORT_8000"), ("70000/tcp", "TCP_PORT_70000"), ("53/udp", "UDP_PORT_53")):
            assert ports[inner][0]["HostPort"] == seen[f"VAST_{name}"]
        assert not {name for name in seen if name.startswith(("VIRTUAL_ENV", "PYTEST", "-"))}


def test_it_starts_when_it_runs_and_not_before(scene: Scene) -> None:
    """And again after a stop and a start, on the same disk; a destroyed one leaves no folder."""
    number = scene.create(onstart=f"date >> starts; {SLEEP}")
    scene.pass_by(RUNNING_S - 1)
    assert scene.vast.instances()[number]["pid"] is None
    scene.pass_by(1)
    first, folder = scene.vast.instances()[number]["pid"], Path(scene.vast.instances()[number]["folder"])
    (folder / "kept").touch()

    scene.manage(number, state="stopped")
    scene.pass_by(3)
    assert (scene.vast.instances()[number]["pid"], (folder / "kept").exists()) == (None, True)
    scene.manage(number, state="running")
    scene.pass_by(20)
    assert scene.vast.instances()[number]["pid"] not in {None, first}
    scene.destroy(number)
    scene.vast.market.settle()

    assert not folder.exists()


@pytest.mark.parametrize("way", ["stop", "destroy", "outbid", "credit_gone", "close"])
def test_nothing_survives(scene: Scene, tmp_path: Path, way: str) -> None:
    """Neither children in the background, nor who left the group: the pipe that all of them hold ends."""
    heard = pipe(tmp_path)
    number = scene.run(onstart=f"{heard.onstart}sleep 1000 & setsid sleep 1000 & echo up >&3; {SLEEP}")
    with heard.opened() as lines:
        assert lines.readline() == "up\n"
        match way:
            case "stop":
                scene.manage(number, state="stopped")
                scene.pass_by(3)
            case "destroy":
                scene.destroy(number)
            case "close":
                scene.vast.market.close()
            case _:
                scene.vast.fault(way)

        assert lines.read() == ""


def test_a_process_may_end_without_its_instance(scene: Scene, tmp_path: Path) -> None:
    """With ssh the container outlives its onstart."""
    heard = pipe(tmp_path)
    number = scene.run(onstart=f"{heard.onstart}exit 3")
    with heard.opened() as lines:
        assert lines.read() == ""
    scene.pass_by(60)

    assert scene.show(number)["actual_status"] == "running"


def test_with_args_the_process_is_the_container(scene: Scene, tmp_path: Path) -> None:
    """Its end is the instance's exit, and the GPU costs no more; the log keeps what it printed."""
    heard = pipe(tmp_path)
    script = f"echo one; echo two; read word < {heard.path}"
    number = scene.run(runtype="args", onstart="/bin/sh", args=["-c", script])
    pid = scene.vast.instances()[number]["pid"]
    assert scene.show(number)["actual_status"] == "running"
    with heard.path.open("w", encoding="utf-8") as talk:
        talk.write("end\n")
    with suppress(ChildProcessError):  # the emulator was first to notice
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    assert scene.show(number)["actual_status"] == "exited"
    told = scene.http.put(f"/api/v0/instances/request_logs/{number}/", json={"tail": "1"}).json()
    texts = [scene.http.get(told["result_url"]).text for _ in range(3)]
    assert texts[-1] == "two\n"


def test_a_containers_key_is_for_itself_alone(scene: Scene) -> None:
    """It shows, labels, stops, starts and destroys its own instance; the rest is 403, and then it is dead."""
    mine, other = scene.run(101), scene.run(102)
    with client(scene.vast.url, scene.vast.instances()[mine]["key"]) as inside:
        assert inside.get(f"/api/v0/instances/{mine}/").json()["instances"]["id"] == mine
        for body in ({"label": "x"}, {"state": "stopped"}, {"state": "running"}):
            assert inside.put(f"/api/v0/instances/{mine}/", json=body).status_code == 200
        refused: list[httpx.Response] = [
            inside.get(f"/api/v0/instances/{other}/"),
            inside.request("DELETE", f"/api/v0/instances/{other}/", json={}),
            inside.get("/api/v1/instances/"),
            inside.get("/api/v0/users/current"),
            inside.put("/api/v0/asks/103/", json={}),
        ]
        assert [reply.status_code for reply in refused] == [403] * 5
        assert inside.delete(f"/api/v0/instances/{mine}/").status_code == 200
        assert inside.get(f"/api/v0/instances/{mine}/").status_code == 401

    assert list(scene.vast.instances()) == [other]


def test_an_instance_destroys_itself(scene: Scene, tmp_path: Path) -> None:
    """With what lies in its environment, in POSIX sh and curl, as a dead man's switch would."""
    heard = pipe(tmp_path)
    scene.run(
        onstart=heard.onstart + 'curl -s --noproxy "*" -X DELETE -H "Authorization: Bearer $CONTAINER_API_KEY" '
        f'"$API/api/v0/instances/$CONTAINER_ID/" > answer; {SLEEP}',
        env={"API": scene.vast.url},
    )
    with heard.opened() as lines:
        assert lines.read() == ""

    assert scene.vast.instances() == {}


def test_a_process_can_be_reached(scene: Scene, tmp_path: Path) -> None:
    """At the public address and the mapped port; while its host is away nothing answers."""
    heard = pipe(tmp_path)
    serve = "import os, socket; s = socket.create_server(('127.0.0.1', int(os.environ['VAST_TCP_PORT_9'])))\n"
    serve += "os.write(3, b'up\\n')\nwhile True: s.accept()[0].sendall(b'hello')"
    number = scene.run(onstart=f'{heard.onstart}exec python3 -c "{serve}"', env={"-p 9:9": "1"})
    with heard.opened() as lines:
        assert lines.readline() == "up\n"
        row = scene.show(number)
        address = (row["public_ipaddr"].strip(), int(row["ports"]["9/tcp"][0]["HostPort"]))
        scene.vast.fault("offline", instance=number)
        with socket.create_connection(address, timeout=60) as line:
            line.settimeout(0.05)
            with pytest.raises(TimeoutError):
                line.recv(5)
            scene.vast.fault("online", instance=number)
            line.settimeout(60)

            assert line.recv(5) == b"hello"
