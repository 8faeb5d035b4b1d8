"""The training of the shipped network: reproducible bytes, in the layout that the loader reads."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from framehaul.pipelines.enhance.weights import load_network
from training import x2
from training.photographs import catalogue, photographs

ROOT = Path(__file__).resolve().parents[3]


def few_steps(seed: int) -> bytes:
    data = [x2.pair(photographs("train")[0].pixels)]
    return x2.as_file(x2.train(data, seed=seed, steps=2))


def test_a_seed_decides_every_byte() -> None:
    """The same seed gives the same file and another seed another one, whatever the global random state."""
    first = few_steps(1)
    torch.manual_seed(99)

    assert few_steps(1) == first
    assert few_steps(2) != first


def test_what_training_writes_is_what_the_loader_reads(tmp_path: Path) -> None:
    """The file has the official layout, and two steps have already moved it away from repeating pixels."""
    path = tmp_path / "few.pth"
    path.write_bytes(few_steps(1))

    network = load_network(path).network

    assert (network.features, network.convs, network.scale) == (24, 8, 2)
    assert network.state_dict()["body.18.weight"].abs().max() > 0


@pytest.mark.slow
def test_the_command_gives_the_same_file_twice(tmp_path: Path) -> None:
    """`python -m training.x2` in two processes, under two names, writes one sha256, and records it."""
    digests = set()
    for name in ("one.pth", "other.pth"):
        path = tmp_path / name
        command = [sys.executable, "-m", "training.x2", "--seed", "3", "--steps", "2", "--out", str(path)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        record = json.loads(path.with_suffix(".json").read_text("utf-8"))
        assert (record["seed"], record["steps"]) == (3, 2)
        assert record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        digests.add(record["sha256"])

    assert len(digests) == 1


def test_only_licences_that_allow_it_are_trained_on() -> None:
    """Every training photograph is CC0 or in the public domain, and says where it is from."""
    trained = [entry for entry in catalogue() if entry.role == "train"]

    assert trained
    assert all(entry.licence.startswith(("CC0", "public domain")) and entry.source for entry in trained)


def test_a_photograph_that_was_exchanged_is_refused(tmp_path: Path) -> None:
    """A scikit-image that ships another picture under a known name (as once with `camera`) stops the training."""
    exchanged = [{**vars(entry), "sha256": "0" * 64} for entry in catalogue()]
    listing = tmp_path / "images.json"
    listing.write_text(json.dumps(exchanged), "utf-8")

    with pytest.raises(ValueError, match=r"astronaut.png of the installed scikit-image has sha256 \w{64}, not 0000"):
        photographs("train", listing)
