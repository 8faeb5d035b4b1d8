"""This machine as a cloud, with real processes: found by whoever looks, started on the disk that they had."""

from __future__ import annotations

import asyncio
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from controller.channel import AgentChannel
from controller.errors import ConfigError, ProviderError
from controller.providers.base import Instance, InstanceState, RentOrder, load_provider
from controller.providers.local import MARK, LocalProvider, open_provider
from framehaul.clock import SystemClock
from framehaul.contract.lease_secret import SECRET_VARIABLE
from framehaul.contract.pipeline import Needs
from framehaul.contract.status import HealthState
from tests.agent.patience import eventually
from tests.controller.hosts import IDLE, LABEL, SECRET, Host, environ_of

ROOT = Path(__file__).parents[2]
PLANTED = {
    "AWS_ACCESS_KEY_ID": "planted-1",
    "AWS_SECRET_ACCESS_KEY": "planted-2",
    "HF_TOKEN": "planted-3",
    "HUGGINGFACE_TOKEN": "planted-4",
    "VAST_API_KEY": "planted-5",
    "B2_KEY": "planted-6",
    "B2_SECRET": "planted-7",
    "WEBHOOK_URL": "https://planted-8.invalid",
    "SSH_AUTH_SOCK": "/planted-9",
    "LD_PRELOAD": "",
}


# -- renting ---------------------------------------------------------------------------------------------------------


async def test_a_rented_machine_has_an_agent_that_answers(host: Host) -> None:
    """Over HTTPS, with the certificate of its lease; found by a provider that did not start it."""
    await host.rent()

    instance = await eventually(lambda: host.is_in(InstanceState.RUNNING))

    assert instance is not None
    assert instance.ref == instance.label == LABEL
    assert instance.address is not None
    async with AgentChannel(instance.address, SECRET) as channel:
        assert (await channel.health()).state is HealthState.READY
        assert (await channel.info()).hostname


async def test_no_key_of_the_user_s_reaches_the_agent(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is given by name: account keys, tokens and sockets of the laptop stay on it."""
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    await host.rent()
    await eventually(lambda: host.is_in(InstanceState.RUNNING))

    environments = [environ_of(process.pid) for process in host.processes()]

    assert environments
    for environment in environments:
        names = {entry.partition(b"=")[0].decode() for entry in environment.split(b"\0") if entry}
        assert not names & set(PLANTED)
        assert b"planted" not in environment
        assert {MARK, SECRET_VARIABLE, "PATH"} <= names


async def test_the_instance_s_folder_is_its_owner_s_alone(host: Host) -> None:
    """Its secret lies there, so that it can start again when its controller is gone."""
    await host.rent(*IDLE)

    home = host.folder / LABEL

    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "secret").stat().st_mode) == 0o600
    assert (home / "secret").read_text() == SECRET.hex()


async def test_an_instance_outlives_the_process_that_rented_it(host: Host) -> None:
    """And is found by the next one: its folder and its processes tell of it, nothing else does."""
    code = """
import asyncio, os, sys
from pathlib import Path
from controller.providers.base import RentOrder
from controller.providers.local import LocalOptions, LocalProvider
from framehaul.clock import SystemClock
from framehaul.contract.lease_secret import LeaseSecret
from framehaul.contract.pipeline import Needs
async def rent():
    provider = LocalProvider(Path(sys.argv[1]), SystemClock(), LocalOptions(launcher=sys.argv[3:]))
    (offer,) = await provider.offers(Needs())
    await provider.rent(offer, RentOrder(sys.argv[2], LeaseSecret.new(), 1e9, 1.0))
asyncio.run(rent())
os._exit(0)
"""
    words = [sys.executable, "-c", code, str(host.folder), LABEL, *IDLE]
    done = await asyncio.to_thread(subprocess.run, words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    assert await host.is_in(InstanceState.STARTING)
    assert len(host.processes()) == 1


async def test_a_launcher_is_put_before_the_agent(host: Host) -> None:
    """Such as `nice`: the agent runs below it, with what it sets."""
    await host.rent("nice", "-n", "7")
    await eventually(lambda: host.is_in(InstanceState.RUNNING))

    server = next(process for process in host.processes() if "serve" in process.cmdline())

    assert server.nice() == 7


async def test_a_launcher_that_cannot_run_is_an_error_of_the_cloud(host: Host, tmp_path: Path) -> None:
    """What is left of the attempt is listed, so that it is cleared away."""
    launcher = tmp_path / "launcher"
    launcher.write_text("#!/no/such/interpreter\n")
    launcher.chmod(0o755)

    with pytest.raises(ProviderError, match="could not be started"):
        await host.rent(str(launcher))

    found = await host.the()
    assert found is not None
    await host.provider().destroy(found.ref)
    assert await host.the() is None


async def test_a_folder_that_cannot_be_made_is_an_error_of_the_cloud(host: Host) -> None:
    """A full or broken disk of the laptop ends one purchase, not the program."""
    provider = host.provider(*IDLE)
    (offer,) = await provider.offers(Needs())
    host.folder.rmdir()
    host.folder.write_text("in the way")

    with pytest.raises(ProviderError):
        await provider.rent(offer, RentOrder(LABEL, SECRET, 1.0, 1.0))

    host.folder.unlink()


async def test_what_does_not_fit_on_the_disk_is_not_offered(host: Host) -> None:
    """The offer is this machine, for nothing; more disk than there is gets none."""
    (offer,) = await host.provider().offers(Needs(disk_gb=0.001))

    assert offer.dollars_per_hour == 0.0
    assert await host.provider().offers(Needs(disk_gb=offer.disk_gb * 1000)) == []


# -- what an instance is ---------------------------------------------------------------------------------------------


async def test_nothing_rented_is_an_empty_list(host: Host) -> None:
    """Also where the folder was never made."""
    assert await host.provider().instances() == []


async def test_a_folder_without_a_process_has_exited(host: Host) -> None:
    """As a crash between folder and process leaves it; the last line of its log says why, if there is one."""
    (host.folder / LABEL).mkdir(parents=True)
    assert await host.the() == Instance(LABEL, LABEL, InstanceState.EXITED, None, "")

    (host.folder / LABEL / "agent.log").write_text("one\nOut of luck.\n")

    assert await host.the() == Instance(LABEL, LABEL, InstanceState.EXITED, None, "Out of luck.")


async def test_a_process_without_a_folder_is_an_instance(host: Host) -> None:
    """Somebody removed its disk; it still runs, and can be ended."""
    await host.rent(*IDLE)
    for path in (host.folder / LABEL).iterdir():
        path.unlink()
    (host.folder / LABEL).rmdir()

    assert await host.is_in(InstanceState.STARTING)
    await host.provider().destroy(LABEL)

    assert await host.the() is None
    assert host.processes() == []


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"port": "many"}', '{"port": null}', "5"])
async def test_a_port_that_cannot_be_read_is_not_known_yet(host: Host, content: str) -> None:
    """The list comes all the same."""
    await host.rent(*IDLE)
    (host.folder / LABEL / "port.json").write_text(content)

    assert await host.is_in(InstanceState.STARTING)


async def test_instances_of_another_state_folder_are_not_listed(host: Host, tmp_path: Path) -> None:
    """Two state folders are two clouds on one machine; destroying in one leaves the other alone."""
    await host.rent(*IDLE)
    other = Host(tmp_path / "other")

    assert await other.the() is None
    await other.provider().destroy(LABEL)

    assert len(host.processes()) == 1


# -- start -----------------------------------------------------------------------------------------------------------


async def test_an_exited_agent_starts_on_the_disk_that_it_had(host: Host) -> None:
    """With the secret of its lease, at whatever port; what lay on its disk still does."""
    await host.rent()
    first = await eventually(lambda: host.is_in(InstanceState.RUNNING))
    (host.folder / LABEL / "home" / "kept").write_text("a result")
    for process in host.processes():
        process.kill()
    exited = await eventually(lambda: host.is_in(InstanceState.EXITED))
    assert first is not None
    assert exited is not None
    assert exited.address is None

    await host.provider().start(LABEL)
    again = await eventually(lambda: host.is_in(InstanceState.RUNNING))

    assert again is not None
    assert again.address is not None
    async with AgentChannel(again.address, SECRET) as channel:
        assert (await channel.info()).hostname
    assert (host.folder / LABEL / "home" / "kept").read_text() == "a result"


async def test_starting_what_runs_changes_nothing(host: Host) -> None:
    """Two agents on one disk would do every job twice."""
    provider = await host.rent(*IDLE)
    before = [process.pid for process in host.processes()]

    await provider.start(LABEL)

    assert [process.pid for process in host.processes()] == before


async def test_what_was_never_rented_cannot_be_started(host: Host) -> None:
    """It is an error of the cloud."""
    with pytest.raises(ProviderError, match="no instance"):
        await host.provider().start(LABEL)


async def test_a_disk_without_a_secret_cannot_be_started(host: Host) -> None:
    """The controller died between folder and secret: an error of the cloud, and no traceback."""
    (host.folder / LABEL).mkdir(parents=True)

    with pytest.raises(ProviderError):
        await host.provider().start(LABEL)


# -- options ---------------------------------------------------------------------------------------------------------


def test_it_is_found_by_its_name(tmp_path: Path) -> None:
    """With the options that config.yaml holds for it, below the state folder."""
    provider = load_provider("local", {"launcher": ["nice"]}, state=tmp_path, clock=SystemClock())

    assert isinstance(provider, LocalProvider)
    assert not provider.remote


@pytest.mark.parametrize("options", [{"lancher": []}, {"launcher": "nice"}, {"launcher": [5]}])
def test_an_option_that_it_does_not_know_is_a_mistake(tmp_path: Path, options: dict[str, object]) -> None:
    """Told with the cloud's name."""
    with pytest.raises(ConfigError, match=r"providers\.local"):
        open_provider(options, state=tmp_path, clock=SystemClock())


def test_an_unknown_cloud_suggests_the_nearest(tmp_path: Path) -> None:
    """And names those that there are where none is near."""
    with pytest.raises(ConfigError, match="Did you mean 'local'"):
        load_provider("lokal", {}, state=tmp_path, clock=SystemClock())
    with pytest.raises(ConfigError, match=r"Known: .*local"):
        load_provider("moonbase", {}, state=tmp_path, clock=SystemClock())
