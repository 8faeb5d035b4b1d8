"""Every message parses, travels unchanged, refuses what it does not know, and cannot be altered."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from framehaul.contract.manifest import Manifest
from framehaul.contract.naming import manifest_name
from framehaul.contract.problem import Problem, problem_type
from framehaul.contract.receipt import Receipt, Sentinel
from framehaul.contract.spec import MANIFEST_SLOT, JobSpec
from framehaul.contract.status import JobStatus
from framehaul.contract.wire import Wire, canonical_json
from tests.contract.letters import MESSAGES, example, example_names, example_text, message_type

each_example = pytest.mark.parametrize("name", example_names())
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def test_each_message_has_an_example() -> None:
    """No message is without an example, and no example without a message."""
    assert {message_type(name) for name in example_names()} == set(MESSAGES)


@each_example
def test_example_travels_unchanged(name: str) -> None:
    """Parsing and writing an example gives the same JSON, defaults included."""
    message = message_type(name).model_validate_json(example_text(name))

    assert json.loads(message.model_dump_json()) == example(name)
    assert message_type(name).model_validate_json(message.model_dump_json()) == message


@each_example
def test_unknown_field_is_refused(name: str) -> None:
    """A field that this version does not know is an error; problems tolerate it, as RFC 9457 asks."""
    kind = message_type(name)
    content = example(name) | {"surprise": 1}

    if kind is Problem:
        assert kind.model_validate(content).model_dump()["surprise"] == 1
    else:
        with pytest.raises(ValidationError, match="surprise"):
            kind.model_validate(content)


def _nested(value: Any, depth: int = 0) -> list[Wire]:
    if isinstance(value, BaseModel):
        own = [value] if isinstance(value, Wire) and depth else []
        return own + [found for field in dict(value).values() for found in _nested(field, depth + 1)]
    if isinstance(value, tuple):
        return [found for item in value for found in _nested(item, depth)]
    if isinstance(value, dict):
        return [found for item in value.values() for found in _nested(item, depth)]
    return []


@each_example
def test_unknown_field_inside_is_refused(name: str) -> None:
    """The parts of a message are as strict as the message."""
    for part in _nested(message_type(name).model_validate(example(name))):
        with pytest.raises(ValidationError, match="surprise"):
            type(part).model_validate(part.model_dump(mode="json") | {"surprise": 1})


@each_example
def test_message_is_frozen(name: str) -> None:
    """No field of a message, nor of its parts, can be set again."""
    message = message_type(name).model_validate(example(name))

    for part in (message, *_nested(message)):
        for field in type(part).model_fields:
            with pytest.raises(ValidationError, match="frozen"):
                setattr(part, field, None)


@each_example
def test_each_required_field_is_missed(name: str) -> None:
    """A message without one of its required fields is refused, by that field's name."""
    kind = message_type(name)
    for field, info in kind.model_fields.items():
        if info.is_required():
            content = example(name)
            del content[field]
            with pytest.raises(ValidationError, match=field):
                kind.model_validate(content)


def test_examples_tell_one_story() -> None:
    """The receipt, the manifest and the sentinel among the examples belong to the order among them."""
    spec = JobSpec.model_validate(example("JobSpec"))
    receipt = Receipt.model_validate(example("Receipt"))
    manifest = Manifest.model_validate(example("Manifest"))

    assert receipt.spec_digest == manifest.spec_digest == spec.digest()
    assert {entry.slot: entry.name for entry in receipt.outputs} == spec.output_names()
    assert Sentinel.model_validate(example("Sentinel")).vouches_for(receipt)


def test_digest_is_of_the_content_not_of_the_text() -> None:
    """Two texts of one order, with fields in another order and defaults left out, have one digest."""
    content = example("JobSpec")
    shuffled = dict(reversed(content.items()))
    del shuffled["limits"], shuffled["version"]

    assert JobSpec.model_validate(shuffled).digest() == JobSpec.model_validate(content).digest()
    assert JobSpec.model_validate(content | {"attempt": 3}).digest() != JobSpec.model_validate(content).digest()


@given(st.dictionaries(st.text(), json_values, max_size=6), st.randoms())
def test_canonical_json_does_not_depend_on_order(value: dict[str, Any], random: Any) -> None:
    """Equal values give equal bytes, whatever the order of their keys; and the bytes are JSON for the value."""
    items = list(value.items())
    random.shuffle(items)

    assert canonical_json(dict(items)) == canonical_json(value)
    assert json.loads(canonical_json(value)) == value


@pytest.mark.parametrize("bad", [math.nan, math.inf, [{"deep": -math.inf}], "\ud800", {"\ud800": 1}])
def test_params_that_json_cannot_hold_are_refused(bad: object) -> None:
    """What could not be hashed is refused at the door, from Python and from JSON text alike."""
    content = example("JobSpec") | {"params": {"strength": bad}}

    with pytest.raises(ValidationError):
        JobSpec.model_validate(content)
    with pytest.raises(ValidationError):
        JobSpec.model_validate_json(json.dumps(content))


@given(st.text(st.characters(categories=("Cs", "L", "Zs")), min_size=1))
def test_status_can_always_be_written(message: str) -> None:
    """A message that quotes a file name which is not UTF-8 still leaves the machine."""
    status = JobStatus.model_validate(example("JobStatus.failed") | {"message": message, "stage": message})

    assert JobStatus.model_validate_json(status.model_dump_json()) == status


@pytest.mark.parametrize("job_id", ["", "-a", "A", "a_b", "a/b", "..", "abc\n", "é", "a" * 65])
def test_job_id_outside_of_the_alphabet_is_refused(job_id: str) -> None:
    """A job's id can be a folder's name anywhere: lower case, digits, dashes, at most 64."""
    with pytest.raises(ValidationError, match="job_id"):
        JobSpec.model_validate(example("JobSpec") | {"job_id": job_id})


@pytest.mark.parametrize("attempt", [0, -1, 100])
def test_attempt_is_counted_from_one(attempt: int) -> None:
    """Attempts are 1 to 99."""
    with pytest.raises(ValidationError, match="attempt"):
        JobSpec.model_validate(example("JobSpec") | {"attempt": attempt})


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd", "a\\b", "a\nb", "a\x00b", "\x1b[2J", "é" * 128])
def test_name_that_could_leave_the_folder_is_refused(name: str) -> None:
    """Names in an order are plain file names."""
    for field, value in (
        ("manifest_name", name),
        ("outputs", [{"slot": "video", "name": name}]),
        ("inputs", [{"slot": "source", "name": name, "size": 1, "fingerprint": "f"}]),
    ):
        with pytest.raises(ValidationError, match=field):
            JobSpec.model_validate(example("JobSpec") | {field: value})


@pytest.mark.parametrize(
    ("outputs", "complaint"),
    [
        ([{"slot": "a", "name": "x"}, {"slot": "a", "name": "y"}], "output slots must differ"),
        ([{"slot": "a", "name": "x"}, {"slot": "b", "name": "x"}], "output names must differ"),
        ([{"slot": MANIFEST_SLOT, "name": "x"}], "reserved"),
        ([], "at least 1"),
    ],
)
def test_outputs_that_would_collide_are_refused(outputs: list[dict[str, str]], complaint: str) -> None:
    """Two outputs never share a slot or a name, nor take the manifest's slot."""
    with pytest.raises(ValidationError, match=complaint):
        JobSpec.model_validate(example("JobSpec") | {"outputs": outputs})


def test_output_may_not_take_the_manifests_name() -> None:
    """The manifest's name counts among the outputs' names."""
    content = example("JobSpec")
    content["outputs"].append({"slot": "second", "name": content["manifest_name"]})

    with pytest.raises(ValidationError, match="output names must differ"):
        JobSpec.model_validate(content)


def test_manifest_is_delivered_like_an_output() -> None:
    """Everything that is delivered has a slot, the manifest too, and it lies beside the first output."""
    names = JobSpec.model_validate(example("JobSpec")).output_names()

    assert names[MANIFEST_SLOT] == manifest_name(names["video"])


def test_reason_must_fit_the_state() -> None:
    """A status that gives another state's reason, or a failure without any, is refused."""
    for state, reason in (("running", "disk-full"), ("failed", "none"), ("stopped", "worker-died")):
        with pytest.raises(ValidationError, match="is no reason to be"):
            JobStatus.model_validate(example("JobStatus") | {"state": state, "reason": reason})


def test_problem_is_known_by_its_last_word() -> None:
    """Both sides compare `job-differs`, not a sentence and not a whole address."""
    problem = Problem.model_validate(example("Problem"))

    assert problem.type == problem_type(problem.name) == "urn:framehaul:problem:job-differs"
    with pytest.raises(ValidationError, match="status"):
        Problem(title="Not an error.", status=200)
