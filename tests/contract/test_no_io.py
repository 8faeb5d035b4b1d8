"""The contract is words: it touches no disk, no socket and no clock, and needs few packages."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import framehaul.contract as package

FOLDER = Path(package.__path__[0])
FILES = sorted(FOLDER.glob("*.py"))
OURS = ("framehaul.contract", "framehaul.errors")
# What of the standard library would reach outside of the process.
REACHES_OUT = {
    "asyncio",
    "http",
    "io",
    "multiprocessing",
    "os",
    "shutil",
    "socket",
    "ssl",
    "subprocess",
    "tempfile",
    "time",
    "urllib.request",
}
PATH_VERBS = {
    "exists",
    "glob",
    "iterdir",
    "mkdir",
    "open",
    "read_bytes",
    "read_text",
    "rename",
    "stat",
    "unlink",
    "write_bytes",
    "write_text",
}

each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


def imported(path: Path) -> set[str]:
    """Name the modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            found.add(str(node.module))
    return found


@each_file
def test_imports_only_the_standard_library_and_pydantic(path: Path) -> None:
    """Beside the standard library: pydantic, ourselves, and cryptography in lease_secret.py alone."""
    packages = {"pydantic"} | ({"cryptography"} if path.name == "lease_secret.py" else set())

    for module in imported(path):
        top = module.partition(".")[0]
        assert top in sys.stdlib_module_names or top in packages or module.startswith(OURS), f"{path.name}: {module}"


@each_file
def test_reaches_nothing_outside(path: Path) -> None:
    """No file imports a module that does I/O, opens a file, or asks a path about the disk."""
    assert not imported(path) & REACHES_OUT

    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    verbs = {call.attr for call in calls if isinstance(call, ast.Attribute)}
    names = {call.id for call in calls if isinstance(call, ast.Name)}
    assert not verbs & PATH_VERBS
    assert not names & {"open", "print", "input"}


def test_job_folder_needs_no_package() -> None:
    """jobdir.py is standard library alone: an SSH reader takes it as one file."""
    assert all(module.partition(".")[0] in sys.stdlib_module_names for module in imported(FOLDER / "jobdir.py"))
