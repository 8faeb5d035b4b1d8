"""Whatever is wrong with an account is found before anything runs, in one sentence, as a mistake of the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from controller.access import check_listing, check_reading, check_results
from controller.doctor import Level, check_bucket
from controller.errors import ConfigError, ExitCode
from controller.ledger import Ledger
from controller.state import StateFolder
from framehaul.clock import SystemClock
from framehaul.contract.states import JobState
from framehaul.contract.uris import parse_uri
from framehaul.storage.accounts import Account
from framehaul.storage.base import Stores
from tests.controller.desks import a_batch, a_job_row
from tests.controller.typist import Typist
from tests.emulators.s3_faults import S3Faults
from tests.rclone import KEY_ID, SECRET, Rclone

IN, OUT = "b2://clips/in/", "b2://clips/out/"


class Hasty(SystemClock):
    """The hour as it is, or so many seconds off; who waits between tries does not."""

    def __init__(self, off_s: float = 0.0) -> None:
        self._off_s = off_s

    def now(self) -> float:
        """Give the hour."""
        return super().now() + self._off_s

    def wait(self, seconds: float) -> None:
        """Go on at once."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rclone]:
    """A real S3 server that asks nobody for a key."""
    with Rclone(tmp_path_factory.mktemp("store"), keys=None) as server:
        folder = server.bucket("clips") / "in"
        folder.mkdir()
        (folder / "a.mp4").write_bytes(b"ten bytes.")
        yield server


@pytest.fixture
def store(server: Rclone) -> Iterator[S3Faults]:
    """Before it, one that judges keys, regions and hours as AWS does, and can be broken."""
    with S3Faults(server.endpoint, keys={KEY_ID: SECRET}, region="us-east-1") as proxy:
        yield proxy


@pytest.fixture
def open_stores(store: S3Faults) -> Iterator[Callable[..., Stores]]:
    """Open stores with the right account, or with changes to it."""
    opened: list[Stores] = []

    def open_with(*, off_s: float = 0.0, **changes: Any) -> Stores:
        said: dict[str, Any] = {"key_id": SecretStr(KEY_ID), "secret": SecretStr(SECRET), "endpoint": store.endpoint}
        stores = Stores({"b2": Account(**said | changes)}, Hasty(off_s))
        opened.append(stores)
        return stores

    yield open_with
    for stores in opened:
        stores.close()


@pytest.fixture
def environment(store: S3Faults, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the names of the environment for a command in this process, and unset all others of stores."""

    def set_names(**changes: str | None) -> None:
        for name in ("AWS_PROFILE", "AUTO_UPLOAD_B2", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name, raising=False)
        said = {"B2_KEY": KEY_ID, "B2_SECRET": SECRET, "B2_ENDPOINT": store.endpoint, "B2_BUCKET": "clips"} | changes
        for name, value in said.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)

    return set_names


def test_an_account_that_opens_everything_is_found_good_and_leaves_nothing(
    open_stores: Callable[..., Stores], store: S3Faults, server: Rclone
) -> None:
    """Neither an object nor an upload; and no object is read to say so."""
    stores = open_stores()

    entry = check_listing(parse_uri(IN), stores)
    check_results(parse_uri(OUT), stores)
    assert store.count(operation="GetObject") == 0
    assert entry is not None
    check_reading(entry.uri, entry.size, stores)

    assert store.count(operation="GetObject") == 1
    assert [path.name for path in server.folder.rglob("*") if path.is_file()] == ["a.mp4"]
    assert "Uploads" not in server.client().list_multipart_uploads(Bucket="clips")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"key_id": SecretStr("004nobody")}, "does not know this key id. Check B2_KEY"),
        ({"secret": SecretStr("K004wrong")}, "The secret does not belong to this key id"),
        ({"region": "eu-central-003"}, "is not in the region eu-central-003"),
        ({"endpoint": "http://127.0.0.1:9"}, "127.0.0.1:9 cannot be reached. Check the endpoint"),
        ({"endpoint": "https://no.such.host.invalid"}, "does not resolve. Check the endpoint"),
        ({"endpoint": None}, "B2_ENDPOINT is not set"),
        ({"key_id": None}, "B2_SECRET is set, B2_KEY is not"),
        ({"endpoint": "http://192.0.2.1"}, "without encryption. Use https://"),
    ],
)
def test_a_wrong_account_is_found_by_looking(
    open_stores: Callable[..., Stores], changes: dict[str, Any], words: str
) -> None:
    """With the place that it concerns, and without the key."""
    with pytest.raises(ConfigError) as told:
        check_listing(parse_uri(IN), open_stores(**changes))

    assert str(told.value).startswith(f"{IN}: ")
    assert words in str(told.value)
    assert "K004" not in str(told.value)


def test_a_wrong_bucket_is_found_by_looking(open_stores: Callable[..., Stores]) -> None:
    """Its name is said."""
    with pytest.raises(ConfigError, match=r"^b2://clibs/in/: There is no bucket clibs at http"):
        check_listing(parse_uri("b2://clibs/in/"), open_stores())


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ("ListObjectsV2", "The key may not list .*listFiles"),
        (["HeadObject", "GetObject"], "The key may not .*readFiles"),
        ("CreateMultipartUpload", "The key may not begin an upload of .*writeFiles"),
        ("AbortMultipartUpload", "The key may not abort .*framehaul sweep"),
    ],
)
def test_a_right_that_results_need_is_missed_in_time(
    open_stores: Callable[..., Stores], store: S3Faults, operation: str, words: str
) -> None:
    """Each by itself, with the capability that the key lacks."""
    store.fault("deny", operation=operation)

    with pytest.raises(ConfigError, match=words):
        check_results(parse_uri(OUT), open_stores())


def test_a_right_to_read_is_missed_in_time(open_stores: Callable[..., Stores], store: S3Faults) -> None:
    """By one byte of an input."""
    store.fault("deny", operation="GetObject")

    with pytest.raises(ConfigError, match=r"The key may not read .*readFiles"):
        check_reading(parse_uri(f"{IN}a.mp4"), 10, open_stores())


def test_a_store_that_is_busy_is_asked_again_before_it_is_told(
    open_stores: Callable[..., Stores], store: S3Faults
) -> None:
    """Once is nothing; what lasts is said, with what to do."""
    store.fault("status", code=503, times=2)
    check_listing(parse_uri(IN), open_stores())
    store.fault("status", code=503)

    with pytest.raises(ConfigError, match=r"cannot list .* now \(.*503.*try again later"):
        check_listing(parse_uri(IN), open_stores())


def test_the_doctor_finds_an_account_good_or_says_what_it_lacks(
    open_stores: Callable[..., Stores], store: S3Faults
) -> None:
    """One finding a place."""
    assert check_bucket(parse_uri(OUT), open_stores(), results=True).told == "can be listed, read and written"
    assert check_bucket(parse_uri(IN), open_stores(), results=False).told == "can be listed and read"
    assert check_bucket(parse_uri("b2://clips/no/"), open_stores(), results=False).told.endswith("nothing lies there")

    store.fault("deny", operation="CreateMultipartUpload")
    found = check_bucket(parse_uri(OUT), open_stores(), results=True)
    assert (found.level, "writeFiles" in found.advice) == (Level.FAIL, True)


@pytest.mark.parametrize(("off_s", "words"), [(-3600.0, "ahead of"), (3600.0, "behind")])
def test_a_clock_that_is_wrong_by_an_hour_works_and_is_noted(
    open_stores: Callable[..., Stores], off_s: float, words: str
) -> None:
    """Signatures go by the store's hour; the person learns of their own."""
    found = check_bucket(parse_uri(OUT), open_stores(off_s=off_s), results=True)

    assert (found.level, found.told) == (Level.WARN, f"its clock is 60 min {words} this machine's.")


def test_a_plan_with_a_wrong_account_is_a_mistake_of_the_settings(
    typist: Typist, environment: Callable[..., None]
) -> None:
    """One sentence, exit code 2, nothing on stdout, no key anywhere."""
    environment(B2_SECRET="K004wrong")

    for words in (["plan", IN, "--to", OUT], ["run", IN, "--to", "out"], ["ls", IN], ["try", IN, "--to", OUT]):
        told = typist.types(*words, *([] if words[0] == "ls" else ["--pipeline", "copy"]))
        assert (told.code, told.out) == (ExitCode.USAGE, ""), words
        assert told.err.startswith("framehaul: b2://clips/"), words
        assert "The secret does not belong to this key id" in told.err
        assert "K004" not in told.err + told.out


def test_a_plan_tries_every_right_and_leaves_nothing(
    typist: Typist, environment: Callable[..., None], store: S3Faults, server: Rclone
) -> None:
    """A rehearsal as well; where nothing is to be done, nothing of an object is read."""
    environment()
    before = sorted(server.folder.rglob("*"))

    told = typist.types("plan", "--input-dir", "in", "--to", OUT, "--pipeline", "copy", "--json")
    assert told.code == 0, told.err
    (job,) = told.document["jobs"]
    assert (job["input"], told.document["to"]) == ("b2://clips/in/a.mp4", OUT)
    assert (store.count(operation="GetObject"), store.count(operation="AbortMultipartUpload")) == (1, 1)
    assert sorted(server.folder.rglob("*")) == before

    store.forget()
    assert typist.types("plan", IN, "--to", OUT, "--pipeline", "copy", "--exclude", "*").code == 0
    assert store.count(operation=["GetObject", "HeadObject", "CreateMultipartUpload"]) == 0


def test_a_missing_right_to_write_stops_a_rehearsal_too(
    typist: Typist, environment: Callable[..., None], store: S3Faults
) -> None:
    """And a right to read is missed before a header is probed, not once a file."""
    environment()
    store.fault("deny", operation="CreateMultipartUpload")
    told = typist.types("run", "--dry-run", IN, "--to", OUT, "--pipeline", "copy")
    assert (told.code, "writeFiles" in told.err) == (ExitCode.USAGE, True)

    store.mend()
    store.fault("deny", operation="GetObject")
    told = typist.types("plan", IN, "--to", OUT)
    assert (told.code, "readFiles" in told.err) == (ExitCode.USAGE, True)


def test_going_on_tries_the_place_of_the_results_before_anything_is_rented(
    typist: Typist, environment: Callable[..., None], store: S3Faults
) -> None:
    """A key that lost its rights since ends the command with a sentence; the jobs wait, and no machine is there."""
    environment()
    state = StateFolder.choose(typist.state)
    with closing(Ledger(state.ledger, SystemClock())) as ledger:
        ledger.add_batch(a_batch(target=OUT), [a_job_row()])
    store.fault("deny", operation="CreateMultipartUpload")

    told = typist.types("resume")

    assert (told.code, "writeFiles" in told.err) == (ExitCode.USAGE, True)
    with closing(Ledger(state.ledger, SystemClock())) as ledger:
        assert [job.state for job in ledger.jobs()] == [JobState.PLANNED]
        assert ledger.leases() == []


def test_auto_upload_sends_results_into_the_bucket_and_the_plan_says_so(
    typist: Typist, environment: Callable[..., None]
) -> None:
    """Only where nobody said where they go."""
    environment(AUTO_UPLOAD_B2="1")

    told = typist.types("plan", "--input-dir", "in", "--pipeline", "copy")
    assert "Results go to b2://clips/output/" in told.out
    assert "No --to was given: AUTO_UPLOAD_B2 is set, so results go to b2://clips/output/." in told.out
    assert "b2://" not in typist.types("plan", str(Path(__file__)), "--pipeline", "copy", "--to", "o").out


@pytest.mark.slow
def test_a_doctor_without_settings_tries_the_bucket_of_the_environment(
    typist: Typist, environment: Callable[..., None], store: S3Faults
) -> None:
    """The first thing that somebody does with a fresh .env."""
    environment(B2_KEY=None, B2_SECRET=None, B2_ENDPOINT=None, B2_BUCKET=None)
    lines = [f"B2_KEY={KEY_ID}", "B2_SECRET=K004wrong", f"B2_ENDPOINT={store.endpoint}", "B2_BUCKET=clips"]
    (typist.home / ".env").write_text("\n".join(lines))

    told = typist.types("doctor", "--json")

    findings = {finding["what"]: finding for finding in told.document["findings"]}
    assert (told.code, findings["bucket b2://clips/"]["level"]) == (ExitCode.SOME_FAILED, "fail")
    assert "The secret does not belong to this key id" in findings["bucket b2://clips/"]["told"]
