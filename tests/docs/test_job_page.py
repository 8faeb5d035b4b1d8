"""docs/job.md tells the truth: its routes, files, states and words are those of the code and of a real run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.app import create_api
from agent.service import Agent, Setup
from controller.cli.program import app
from controller.state import StateFolder
from framehaul.clock import SystemClock
from framehaul.contract import routes
from framehaul.contract.jobdir import JobDir
from framehaul.contract.states import AttemptReason, AttemptState, JobReason, JobState, LeaseReason, LeaseState
from tests.docs.pages import DOCS, ROOT, Page, first_cells
from tests.journeys.person import Person, eventually

PAGE = Page(DOCS / "job.md")
ENUMS = (AttemptState, AttemptReason, JobState, JobReason, LeaseState, LeaseReason)
# Words in backticks that are not ours to define.
OF_OTHERS = {"https:", "lock", "secret", "home", "jobs/"}


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    """A laptop of one's own."""
    (tmp_path / "laptop").mkdir()
    person = Person(tmp_path / "laptop")
    yield person
    person.leaves()


def _drawn(top: str) -> list[str]:
    """Read the drawing whose first line is `top`: the path of each entry, folders with a slash at their end."""
    (lines,) = (found.splitlines() for found in PAGE.blocks("") if found.splitlines()[0].strip() == top)
    paths: list[str] = []
    above: list[str] = []
    for line in lines[1:]:
        found = re.match(r"^([│├└─ ]*[├└]── )(\S+(?: \S+)*)", line)
        if found:
            depth = len(found[1]) // 4 - 1
            above = [*above[:depth], found[2]]
            paths.append("".join(above))
    return paths


def _below(entry: str, folder: str) -> bool:
    return entry != folder and entry.startswith(folder)


def _matches(path: str, drawn: list[str]) -> bool:
    """Say whether a file on disk has a drawing: its own, or that of a folder whose content is not drawn further."""
    folders = {entry for entry in drawn if entry.endswith("/") and any(_below(other, entry) for other in drawn)}
    for entry in set(drawn) - folders:
        pattern = re.sub(r"<[^>]+>", "[^/]+", re.escape(entry).replace(r"\ ", " "))
        if re.fullmatch(pattern + (".*" if entry.endswith("/") else ""), path):
            return True
    return False


# The contract


def test_every_route_is_told_and_none_is_invented(tmp_path: Path) -> None:
    """The table is what an agent really serves, method by method."""
    api = create_api(Agent(Setup(tmp_path, SystemClock()))).openapi()
    served = {f"{method.upper()} {path}" for path, methods in api["paths"].items() for method in methods}
    told = first_cells(PAGE.table("route", "does"))
    named = {value for name, value in vars(routes).items() if name.isupper() and str(value).startswith("/")}

    assert sorted(told) == sorted(served)
    assert {path for _, path in (route.split() for route in told)} == named


def test_the_job_folder_is_drawn_whole() -> None:
    """Each name of `JobDir`, nothing else, and who writes it."""
    job = JobDir(Path("x"))
    names = [name for name, value in vars(JobDir).items() if isinstance(value, property)]
    paths = {str(getattr(job, name).relative_to("x")) for name in names}

    assert {entry.rstrip("/") for entry in _drawn("jobs/<job id>/")} - {"status"} == paths


def test_the_state_folder_is_drawn_whole(tmp_path: Path) -> None:
    """Each place that `StateFolder` names."""
    state = StateFolder(tmp_path)
    places = [state.ledger, Path(state.lock().lock_file), state.inbox("j") / "x", state.logs("j") / "x"]
    places += [state.results("b")]

    for place in places:
        name = str(place.relative_to(tmp_path))
        assert _matches(name, _drawn("<state>/")), name


@pytest.mark.parametrize(
    "heads", [("at", "once", "twice"), ("of", "what happens"), ("whose", "what happens")], ids=lambda heads: heads[0]
)
def test_every_state_in_the_tables_is_one(heads: tuple[str, ...]) -> None:
    """A word in backticks that is no file, command or address is a state, or a reason for one."""
    words = {word for row in PAGE.table(*heads) for cell in row for word in re.findall(r"`([a-z-]+)`", cell)}

    assert words <= {str(value) for enum in ENUMS for value in enum} | {"computed"}


# Every word


def test_every_word_in_backticks_is_in_the_code() -> None:
    """Files and folders exist, commands are commands, and any other word stands somewhere in the three packages."""
    source = "\n".join(
        path.read_text(encoding="utf-8") for room in ("framehaul", "agent", "controller") for path in _code(room)
    )
    strange = [word for word in PAGE.words() if not _is_known(word, source)]

    assert strange == []


def _code(room: str) -> Iterator[Path]:
    return (ROOT / room).rglob("*.py")


def _is_known(word: str, source: str) -> bool:
    if word in OF_OTHERS or word in first_cells(PAGE.table("route", "does")):
        return True
    if word.startswith(("controller/", "agent/", "framehaul/")):
        return (ROOT / word).exists()
    if word.startswith("framehaul "):
        return word.split()[1] in {command.name for command in app.registered_commands}
    if word.startswith("python -m "):
        return (ROOT / word.split()[2]).is_dir()
    if word.startswith("agent.") and (ROOT / f"{word.replace('.', '/')}.py").is_file():
        return True
    if word.startswith("<"):
        return True  # a placeholder of a drawing
    return all(part in source for part in word.rstrip("/").split("/"))


# A real run


@pytest.mark.slow
def test_every_file_of_a_run_is_drawn(person: Person, tmp_path: Path) -> None:
    """In the middle of a job, when it is over, and in the output folder: nothing lies there that the page lacks."""
    source = tmp_path / "clip.bin"
    source.write_bytes(bytes(600_000))
    command = person.copies(source, rate=200_000)

    eventually("the job works", person.drafts)
    during = _files(person.state.root)
    ended = person.ends(command)

    assert ended.code == 0, ended.text
    home = re.compile(r"local-cloud/[^/]+/home/")
    in_state = [path for path in (*during, *_files(person.state.root)) if not home.match(path)]
    in_home = [home.sub("", path) for path in during if home.match(path)]
    in_job = [re.sub(r"jobs/[^/]+/", "", path) for path in in_home if path.startswith("jobs/")]
    assert len(in_job) > 5
    assert [path for path in in_state if not _matches(re.sub(r"-(wal|shm)$", "", path), _drawn("<state>/"))] == []
    assert [path for path in in_job if not _matches(path, _drawn("jobs/<job id>/"))] == []
    assert {path for path in in_home if not path.startswith("jobs/")} <= set(PAGE.words())
    assert [path for path in _files(person.out) if not _matches(path, _drawn("<to>/"))] == []


def _files(folder: Path) -> list[str]:
    """List files; a `.<digits>.tmp` is a draft that is renamed in the same moment."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [str(path.relative_to(folder)) for path in files if path.suffix != ".tmp"]
