"""The arrows of the house hold: who imports whom, by reading every file and by importing what must stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.arrows import HEAVY, WORKER_SIDE, breaches, module_level, modules, within

ROOT = Path(__file__).parents[1]
MODULES = modules(ROOT)

# Imports the modules that it is given, and tells for each forbidden package which chain of ours brought it in.
_WATCH = """
import importlib, sys
forbidden, names = set(sys.argv[1].split(",")), sys.argv[2:]

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in forbidden:
            frame, chain = sys._getframe(), []
            while frame:
                module = frame.f_globals.get("__name__", "")
                if module.partition(".")[0] in {"framehaul", "agent", "controller"} and module not in chain:
                    chain.append(module)
                frame = frame.f_back
            print(name, *chain, sep=" <- ")

sys.meta_path.insert(0, Watch())
for name in names:
    importlib.import_module(name)
"""


def brought_in(names: Iterable[str], forbidden: Iterable[str], root: Path = ROOT) -> list[str]:
    """Import modules in a fresh process; list the forbidden packages that came along, and by which way."""
    done = subprocess.run(
        [sys.executable, "-c", _WATCH, ",".join(forbidden), *names],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def _below(*rooms: str) -> list[str]:
    return [name for name in MODULES if any(within(name, room) for room in rooms) and not name.endswith("__main__")]


def test_every_import_follows_the_arrows() -> None:
    """No file of the tree breaks a rule."""
    assert breaches(ROOT) == []


@pytest.mark.parametrize("name", _below("framehaul.pipelines.*.spec"))
def test_spec_is_light(name: str) -> None:
    """Planning a pipeline loads neither torch nor numpy, which a laptop need not have."""
    assert brought_in([name], {"torch", "numpy", "cv2"}) == []


def test_controller_needs_only_the_laptops_packages() -> None:
    """Importing all of the controller loads nothing that only the agent's extra installs."""
    assert brought_in(_below("controller"), {"torch", "numpy", "cv2", "fastapi", "uvicorn"}) == []


def test_server_is_light() -> None:
    """The agent's server starts without torch and never decodes: a hostile file can only kill the worker."""
    server = [name for name in _below("agent") if name not in WORKER_SIDE]

    assert brought_in(server, HEAVY) == []


@pytest.mark.parametrize("name", [name for name in WORKER_SIDE if name in MODULES])
def test_worker_loads_torch_only_when_a_job_needs_it(name: str) -> None:
    """The worker's own file leaves torch to the pipeline's runner, so that a copy job starts at once."""
    found = module_level(ast.parse(MODULES[name].read_text(encoding="utf-8")), name.rpartition(".")[0])

    assert not {target for target in found if target.partition(".")[0] in HEAVY}


RIGHT = {
    "framehaul/__init__.py": "__version__ = '1'",
    "framehaul/errors.py": "",
    "framehaul/contract/spec.py": "import pydantic\nfrom framehaul.contract.wire import Wire\nimport framehaul.errors",
    "framehaul/storage/s3.py": "import boto3\nfrom framehaul.contract.uris import Uri\nimport framehaul.clock",
    "framehaul/pipelines/base.py": "from framehaul.media.probe import MediaInfo",
    "framehaul/pipelines/one/__init__.py": "",
    "framehaul/pipelines/one/spec.py": "from framehaul.pipelines.base import Pipeline",
    "framehaul/pipelines/one/run.py": "import torch\nfrom .spec import PIPELINE\nfrom framehaul.media import decode",
    "agent/worker_main.py": "from framehaul.pipelines.catalogue import load_runner\ndef work(): import torch",
    "agent/server.py": "from framehaul import __version__\nimport framehaul.storage.http, agent.jobs.store",
    "controller/plan.py": "from framehaul.pipelines.one.spec import PIPELINE\nfrom framehaul.media import probe",
    "controller/providers/vast.py": "import httpx\nfrom controller.providers.base import Offer",
    "tests/test_x.py": "import agent, controller\nfrom tests.emulators import market",
    "tests/emulators/market.py": "import http.server",
}
WRONG = [
    ("framehaul/clock.py", "from framehaul.contract.wire import Epoch"),
    ("framehaul/atomic.py", "import framehaul.clock"),
    ("framehaul/contract/wire.py", "from framehaul.storage.base import Store"),
    ("framehaul/contract/wire.py", "import framehaul.atomic"),
    ("framehaul/storage/s3.py", "from framehaul.media import probe"),
    ("framehaul/media/probe.py", "def late():\n    from framehaul.pipelines.base import Pipeline"),
    ("framehaul/pipelines/one/spec.py", "import torch"),
    ("framehaul/pipelines/one/spec.py", "from numpy import float32"),
    ("framehaul/pipelines/one/spec.py", "from .run import RUNNER"),
    ("framehaul/pipelines/one/run.py", "from framehaul.pipelines.two.spec import PIPELINE"),
    ("framehaul/pipelines/one/run.py", "from ..two import spec"),
    ("framehaul/pipelines/base.py", "import framehaul.pipelines.one.spec"),
    ("framehaul/pipelines/one/run.py", "from agent.errors import WorkerDied"),
    ("agent/server.py", "from controller import errors"),
    ("agent/server.py", "import av"),
    ("agent/jobs/store.py", "def late():\n    import torch.cuda"),
    ("agent/server.py", "from framehaul.pipelines.one.run import RUNNER"),
    ("controller/plan.py", "from agent.errors import WorkerDied"),
    ("controller/plan.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from agent.errors import X"),
    ("controller/plan.py", "import importlib\nimportlib.import_module('agent.server')"),
    ("controller/plan.py", "from framehaul.pipelines.one.run import RUNNER"),
    ("controller/plan.py", "from framehaul.pipelines.one import run"),
    ("controller/plan.py", "from framehaul.media.decode import frames"),
    ("controller/plan.py", "import framehaul.media"),
    ("controller/providers/vast.py", "from controller.leases import Lease"),
    ("controller/providers/vast.py", "from controller.fleet.lease import Lease"),
    ("controller/providers/vast.py", "from controller import lease_book"),
    ("controller/plan.py", "from tests.emulators.market import Market"),
    ("training/x2.py", "from tests.letters import example"),
    ("training/x2.py", "import controller.plan"),
    ("tests/emulators/market.py", "from controller.providers.vast import Vast"),
]


def _plant(root: Path, files: Iterable[tuple[str, str]]) -> None:
    for name, text in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def test_reader_lets_a_right_house_stand(tmp_path: Path) -> None:
    """A tree with one import of every allowed kind breaks no rule."""
    _plant(tmp_path, RIGHT.items())

    assert breaches(tmp_path) == []


@pytest.mark.parametrize(("name", "text"), WRONG, ids=lambda value: value.splitlines()[-1].strip())
def test_reader_sees_a_wrong_import(tmp_path: Path, name: str, text: str) -> None:
    """One wrong file, planted into the right house, is named with its line."""
    _plant(tmp_path, [*RIGHT.items(), (name, text)])

    found = breaches(tmp_path)

    module = name.removesuffix(".py").replace("/", ".")
    assert found
    assert all(said.startswith(f"{module}:{len(text.splitlines())} imports ") for said in found)


def test_importer_sees_what_comes_along(tmp_path: Path) -> None:
    """A heavy package two imports away is named together with the way that it came."""
    _plant(tmp_path, [("controller/a.py", "import controller.b"), ("controller/b.py", "def f(): pass\nimport numpy")])

    assert brought_in(["controller.a"], HEAVY, tmp_path) == ["numpy <- controller.b <- controller.a"]


def test_lazy_import_is_not_module_level() -> None:
    """What a function imports when it runs is left alone, what a class or a try holds is not."""
    text = "import a\ntry:\n    import b\nexcept ImportError: pass\nclass C:\n    import c\ndef f():\n    import d\n"
    text += "if TYPE_CHECKING:\n    import e\nelse:\n    import g\n"

    assert module_level(ast.parse(text), "") == {"a", "b", "c", "g"}
