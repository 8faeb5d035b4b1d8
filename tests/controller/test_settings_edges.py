"""Settings at their edges: where each mistake stands, what clouds may be told, and what must work without them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.errors import ConfigError
from controller.providers.local import open_provider
from controller.settings import fetch_config, load_settings
from controller.settings.moments import epoch_of, normalised
from controller.state import StateFolder
from framehaul.clock import SystemClock
from tests.controller.desks import HOUR
from tests.controller.typist import Typist

DOWN = "config_url: https://127.0.0.1:1/x\n"


@pytest.fixture
def typist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typist:
    """Somebody in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    return Typist(tmp_path, capsys)


@pytest.fixture
def dripping() -> Iterator[str]:
    """A server whose headers never end: a letter now and then, each well within any timeout of a read."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            with server.accept()[0] as caller:
                caller.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not over.wait(0.02):
                    caller.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/c.yaml"
        over.set()
        thread.join()


def refusal(folder: Path, content: str | bytes) -> str:
    """Load a file that is wrong; give the sentence without the folder."""
    path = folder / "config.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as told:
        load_settings(path, {})
    return str(told.value).replace(f"{folder}/", "")


def test_headers_that_drip_are_left_as_well(dripping: str) -> None:
    """The whole fetch has one deadline, whatever a single read may take."""
    with pytest.raises(ConfigError, match=r"does not answer in full within 0\.3 s"):
        fetch_config(dripping, timeout_s=0.3)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"to: x\nprovider: a\x00b\n", "config.yaml, line 2, column 12: the character U+0000 cannot stand in settings"),
        (b"to: \x1b[31m\n", "config.yaml, line 1, column 5: the character U+001B cannot"),
        ("to: é\n# ".encode() + b"\xff\n", "config.yaml, line 2, column 3: this is no UTF-8 text"),
        ("to: x\nnewer_than: 2026-02-30\n", "config.yaml, line 2, column 13: '2026-02-30' cannot be read: day is out"),
        ('provider: local\nto: ""\n', "config.yaml, line 2, column 5: to: nothing stands there; give a folder"),
        ("to: x\nparams: {crff: 1}\n", "config.yaml, line 2, column 16: enhance: there is no parameter 'crff'"),
        (
            "preset: mine\npresets:\n  mine:\n    params: {crff: 1}\n",
            "config.yaml, line 4, column 20: enhance: there is no parameter 'crff'",
        ),
        ('{\n\t"to": "a",\n\t"to": "b"\n}\n', "config.yaml, line 3, column 2: 'to' stands here again; it was said in"),
        ('{\n\t"to": "a\x7f",\n\t"to": "b"\n}\n', "config.yaml: 'to' stands there twice"),
        (
            "providers:\n  local: {lancher: [nice]}\n",
            "config.yaml, line 2, column 11: local has no option 'lancher' (did you mean launcher?)",
        ),
        (
            "providers:\n  local: {launcher: nice}\n",
            "line 2, column 21: providers.local.launcher: give a list, such as [one, two], not 'nice'",
        ),
        ("providers:\n  lokal: {}\n", "line 2, column 3: there is no provider 'lokal' (did you mean local?)"),
        (
            "providers: {local: {launcher: [no-such-program, -x]}}\n",
            "line 1, column 31: providers.local.launcher: there is no program 'no-such-program' here",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, content: str | bytes, expected: str) -> None:
    """Also where it is no text, no date, in a cloud's options, or the pipeline's to judge."""
    told = refusal(tmp_path, content)

    assert expected in told
    assert "Input should" not in told


def test_a_launcher_that_is_not_there_is_refused_by_its_cloud_too() -> None:
    """However it came to it; one that is there is kept with its whole path, since an agent runs elsewhere."""
    with pytest.raises(ConfigError, match=r"providers\.local: there is no program 'no-such-program' here"):
        open_provider({"launcher": ["no-such-program"]}, state=Path("/"), clock=SystemClock())


@pytest.mark.parametrize(
    ("text", "kept"), [("1000000s", "1000000s"), ("07.50d", "7.5d"), ("1234567.25m", "1234567.25m")]
)
def test_an_age_keeps_its_digits(text: str, kept: str) -> None:
    """However many there are."""
    assert normalised(text) == kept
    assert epoch_of(kept, HOUR) < HOUR


def test_an_age_beyond_every_calendar_is_refused(typist: Typist) -> None:
    """With a sentence."""
    told = typist.types("plan", ".", "--newer-than", "999999999w")

    assert told.code == 2
    assert "--newer-than: '999999999w' is longer ago than any file" in told.err


@pytest.mark.parametrize("slip", ["config_url", ".env"])
@pytest.mark.parametrize("words", [("status",), ("resume",), ("stop",), ("logs", "nobody")])
def test_what_began_is_looked_after_without_the_settings(typist: Typist, words: tuple[str, ...], slip: str) -> None:
    """A remote config that is down, or one wrong line of .env: a warning; a run is refused."""
    (typist.home / ("config.yaml" if slip == "config_url" else ".env")).write_text(
        DOWN if slip == "config_url" else "this is no line\n"
    )

    told = typist.types(*words)

    assert "with the local file's providers alone." in told.err
    assert told.code == (0 if words != ("logs", "nobody") else 2)
    assert typist.types("run", ".").code == 2


def test_a_slip_in_the_clouds_keeps_resume_from_renting_but_not_stop_from_ending(typist: Typist) -> None:
    """By the wrong options nothing may be rented."""
    (typist.home / "config.yaml").write_text("providers: {lokal: {}}\n")

    assert typist.types("resume").code == 2
    stopped = typist.types("stop")
    assert (stopped.code, "Stopping with the defaults." in stopped.err) == (0, True)


def test_an_address_that_is_misspelt_is_quoted_without_its_secrets(typist: Typist) -> None:
    """User, password and query stay out of the sentence."""
    for text in ("htps://u:PWSECRET@h/x?sig=PWSECRET", "https:///x?sig=PWSECRET"):
        told = typist.types("plan", text)
        assert told.code == 2
        assert "PWSECRET" not in told.err + told.out


# -- the state folder ------------------------------------------------------------------------------------------------


def test_nobody_s_folder_is_missed_with_a_sentence(tmp_path: Path) -> None:
    """A container's user may have no line in the password file."""

    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    with pytest.raises(ConfigError, match=r"There is no state folder.*--state"):
        StateFolder.choose(None, {}, user_folder=nobody)
    assert StateFolder.choose(None, {"XDG_STATE_HOME": str(tmp_path)}, user_folder=nobody).root.parent == tmp_path


def test_a_lock_that_is_a_folder_is_told(tmp_path: Path) -> None:
    """To whoever looks and to whoever acts."""
    folder = StateFolder.choose(tmp_path, {})
    (tmp_path / "lock").mkdir()

    with pytest.raises(ConfigError, match="lock cannot be used: Is a directory"):
        folder.is_locked()
    with pytest.raises(ConfigError, match="lock cannot be used: Is a directory"):
        folder.lock()


def test_a_working_folder_that_is_gone_is_told(typist: Typist, monkeypatch: pytest.MonkeyPatch) -> None:
    """And where to go."""
    gone = typist.home / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    told = typist.types("plan", "clip.mp4")

    assert told.code == 2
    assert "The working folder is gone" in told.err
