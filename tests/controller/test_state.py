"""The state folder: chosen in one order, readable for its owner alone, acted on by one process at a time."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from filelock import Timeout

from controller.state import StateFolder


def test_the_option_goes_before_the_environment_and_that_before_the_user_s_folder(tmp_path: Path) -> None:
    """FRAMEHAUL_STATE, then XDG_STATE_HOME, are asked where no folder was named; an empty variable names none."""
    environment = {"FRAMEHAUL_STATE": str(tmp_path / "a"), "XDG_STATE_HOME": str(tmp_path / "b")}

    assert StateFolder.choose(tmp_path / "c", environment).root == tmp_path / "c"
    assert StateFolder.choose(None, environment).root == tmp_path / "a"
    assert StateFolder.choose(None, environment | {"FRAMEHAUL_STATE": ""}).root == tmp_path / "b" / "framehaul"


def test_it_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    """The secrets of machines lie in it."""
    made = StateFolder.choose(tmp_path / "deep" / "state", {})

    assert stat.S_IMODE(made.root.stat().st_mode) == 0o700


def test_two_spellings_are_one_folder(tmp_path: Path) -> None:
    """So that a link or a dot does not let two processes act at once."""
    (tmp_path / "state").mkdir()
    (tmp_path / "link").symlink_to("state")

    roots = {StateFolder.choose(tmp_path / name, {}).root for name in ("state", "link", "state/../state/.")}

    assert roots == {tmp_path / "state"}


def test_one_process_acts_at_a_time(tmp_path: Path) -> None:
    """The second one learns at once that it may not, and may as soon as the first has left."""
    one, two = StateFolder.choose(tmp_path, {}), StateFolder.choose(tmp_path, {})
    assert not two.is_locked()

    with one.lock():
        assert two.is_locked()
        with pytest.raises(Timeout), two.lock():
            pass

    assert not two.is_locked()
    with two.lock():
        assert one.is_locked()
