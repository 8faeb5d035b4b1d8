"""Look whether a run could work here, before one is begun: each finding says what is so, and what to do about it."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import framehaul
from controller.access import check_listing, check_reading, check_results, clock_note
from controller.errors import ControllerError, ProviderError
from controller.ledger import Ledger
from controller.providers.base import Offer
from controller.settings import Settings
from controller.state import StateFolder
from controller.target import judge_folder, judge_kind
from framehaul.contract.uris import Uri, parse_uri
from framehaul.errors import FramehaulError
from framehaul.storage.accounts import Accounts
from framehaul.storage.base import Stores

_OLDEST_PYTHON = (3, 11)
_DECODERS = ("h264", "hevc", "vp9", "av1", "mpeg4", "vp8", "mpeg2video")
_ENCODERS = ("libx264",)
_MORE_ENCODERS = ("libx265", "libvpx-vp9")
_LITTLE_DISK_GB = 5.0
_DAY_S = 86_400.0
_IMPORTS_S = 120.0
# What the agent's own interpreter must be able to load.
_AGENT = "import agent.serve, torch; print(torch.__version__, 'cuda' if torch.cuda.is_available() else 'cpu')"
_TREE = Path(framehaul.__file__).resolve().parent.parent


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    level: Level
    told: str
    advice: str = ""


def good(what: str, told: str) -> Finding:
    """Say that something is as it should be."""
    return Finding(what, Level.OK, told)


def bad(what: str, exc: FramehaulError) -> Finding:
    """Say what is wrong, in the words of the error."""
    return Finding(what, Level.FAIL, exc.message, exc.advice)


def check_python(version: Sequence[int] = sys.version_info[:3]) -> Finding:
    """Look at the interpreter."""
    told = f"{'.'.join(map(str, version))} on {platform.system() or os.name}"
    if tuple(version) < _OLDEST_PYTHON:
        return Finding("Python", Level.FAIL, told, "Framehaul needs Python 3.11 or newer.")
    return good("Python", told)


def check_codecs(known: Callable[[str, str], bool] | None = None) -> Finding:
    """Look whether the video library reads and writes what we need; `known` says so of a codec and "r" or "w"."""
    try:
        import av
    except ImportError as exc:
        return Finding("video library", Level.FAIL, f"PyAV cannot be loaded: {exc}.", "pip install av")
    known = known or _in_pyav
    lacking = [name for name in _ENCODERS if not known(name, "w")]
    unread = [name for name in _DECODERS if not known(name, "r")]
    if lacking:
        advice = "Install PyAV's own wheel: pip install --force-reinstall --only-binary av av"
        return Finding("video library", Level.FAIL, f"PyAV {av.__version__} cannot write {', '.join(lacking)}.", advice)
    unread += [name for name in _MORE_ENCODERS if not known(name, "w")]
    if unread:
        told = f"PyAV {av.__version__} lacks {', '.join(unread)}."
        return Finding("video library", Level.WARN, told, "Videos of these kinds will be refused.")
    writes = ", ".join((*_ENCODERS, *_MORE_ENCODERS))
    return good("video library", f"PyAV {av.__version__} reads {', '.join(_DECODERS)}; writes {writes}")


def check_state(folder: StateFolder, *, writes: bool = True) -> Finding:
    """Look whether the laptop can remember: by writing there, unless `writes` forbids it."""
    try:
        probe = folder.root / ".doctor"
        if writes:
            probe.write_bytes(b"")
            probe.unlink()
        elif not os.access(folder.root, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as exc:
        told = f"{folder.root} cannot be written: {exc.strerror}."
        return Finding("state folder", Level.FAIL, told, "Name another: --state, or $FRAMEHAUL_STATE.")
    return good("state folder", str(folder.root))


def check_ledger(ledger: Ledger) -> Finding:
    """Look whether what was remembered can be read."""
    try:
        batches = {batch.id for batch in ledger.batches()}
        jobs = ledger.left(batches)
    except ControllerError as exc:
        return bad("ledger", exc)
    return good("ledger", f"batches: {len(batches)}; jobs with work left: {jobs}")


def check_running(ledger: Ledger, strays: Sequence[str], *, at_work: bool) -> Finding:
    """Look whether anything runs that nobody looks after."""
    alive = [lease.ref or lease.label for lease in ledger.leases(alive=True)]
    if at_work:
        return good("machines", f"a framehaul is at work; machines: {len(alive)}")
    if alive or strays:
        told = f"still running, and nobody looks after it: {', '.join([*alive, *strays])}."
        return Finding("machines", Level.FAIL, told, "Go on: framehaul resume. End them: framehaul stop.")
    return good("machines", "nothing is running, nothing is billing")


def check_clock(now: float, ledger: Ledger) -> Finding:
    """Look whether the hour can be right: not before this program was installed, nor before the last batch."""
    latest = max((batch.created_at for batch in ledger.batches()), default=0.0)
    installed = Path(framehaul.__file__).stat().st_mtime
    if now < latest or now < installed - _DAY_S:
        told = "the clock says an hour before " + ("the last batch." if now < latest else "this program was installed.")
        return Finding("clock", Level.WARN, told, "Set it: deadlines and names of results are reckoned by it.")
    return good("clock", "as far as can be told, right")


def check_output(settings: Settings) -> Finding:
    """Look whether results could be put where they go; writes nothing."""
    try:
        target = parse_uri(settings.to)
        judge_kind(target)
        judge_folder(target)
    except FramehaulError as exc:
        return bad("output folder", exc)
    return good("output folder", target.key if target.scheme == "file" else target.public())


def check_accounts(accounts: Accounts, stores: Stores) -> Iterator[Finding]:
    """Look whether each account could be one, as far as that shows without asking its store."""
    for scheme in accounts:
        try:
            stores.open(Uri(scheme, "any", ""))
        except FramehaulError as exc:
            yield Finding(f"account for {scheme}://", Level.WARN, exc.message, exc.advice)


def check_bucket(uri: Uri, stores: Stores, *, results: bool) -> Finding:
    """Try an account on a place in a bucket: that it lists and reads, and where `results` go that it writes."""
    what = f"bucket {uri.public()}"
    try:
        first = check_listing(uri, stores)
        if results:
            check_results(uri, stores)
        elif first is not None:
            check_reading(first.uri, first.size, stores)
        hour = clock_note(uri, stores)
    except FramehaulError as exc:
        return bad(what, exc)
    if hour:
        return Finding(what, Level.WARN, hour, "It is reckoned with; set this machine's clock all the same.")
    if results:
        return good(what, "can be listed, read and written")
    return good(what, "can be listed and read" if first is not None else "can be listed; nothing lies there")


def check_disk(place: Path, free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free) -> Finding:
    """Look how much room there is."""
    above = next(path for path in (place, *place.parents) if path.exists())
    free_gb = free_bytes(above) / 1e9
    told = f"{free_gb:.1f} GB free at {above}"
    if free_gb < _LITTLE_DISK_GB:
        return Finding("disk", Level.WARN, told, "A video needs about ten times its size while it is worked on.")
    return good("disk", told)


def check_offers(name: str, offers: Callable[[], Sequence[Offer]]) -> Finding:
    """Ask the cloud what it has."""
    try:
        found = offers()
    except ProviderError as exc:
        return bad(f"provider {name}", exc)
    if not found:
        return Finding(f"provider {name}", Level.WARN, "it answers, and offers nothing now.", "Try again later.")
    cheapest = found[0]
    return good(f"provider {name}", f"{cheapest.gpu}, ${cheapest.dollars_per_hour:.2f} per hour; offers: {len(found)}")


def check_agent(interpreter: str = sys.executable) -> Finding:
    """Load, in a process of its own, what an agent on this machine loads."""
    environment = {**os.environ, "PYTHONPATH": str(_TREE)}
    advice = "Install what the agent needs: pip install 'framehaul[agent]' (in a clone: pip install -e '.[agent]')"
    try:
        done = subprocess.run(
            [interpreter, "-c", _AGENT], env=environment, capture_output=True, text=True, timeout=_IMPORTS_S
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        return Finding("agent", Level.FAIL, f"{interpreter} cannot be run: {exc}.", advice)
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return Finding("agent", Level.FAIL, f"an agent cannot start here: {why}", advice)
    version, device = done.stdout.split()[-2:]
    slow = "" if device == "cuda" else "; no GPU, so it will be slow"
    return good("agent", f"torch {version} on {device}{slow}")


def check_port() -> Finding:
    """Look whether an agent on this machine could be spoken to."""
    try:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            with socket.create_connection(listening.getsockname(), timeout=5):
                pass
    except OSError as exc:
        advice = "Does a firewall forbid connections within this machine?"
        return Finding("ports", Level.FAIL, f"no connection on 127.0.0.1: {exc}.", advice)
    return good("ports", "connections within this machine work")


def gravest(findings: Sequence[Finding]) -> Level:
    """Say how bad it is in all."""
    levels = {finding.level for finding in findings}
    return next((level for level in (Level.FAIL, Level.WARN) if level in levels), Level.OK)


def check_all_of_this_machine() -> Iterator[Finding]:
    """Look at what no setting changes."""
    yield check_python()
    yield check_codecs()


def _in_pyav(name: str, mode: str) -> bool:
    import av

    try:
        av.Codec(name, "w" if mode == "w" else "r")
    except (av.FFmpegError, ValueError):
        return False
    return True
