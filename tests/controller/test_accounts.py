"""Accounts come from the environment and .env, with what settings say of places; the own bucket has short names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from controller.accounts import accounts_of, auto_target, input_below_bucket
from controller.cli.asked import accounts_for, settings_of
from controller.cli.options import Chosen, Configured, Results
from controller.doctor import Level, check_accounts
from controller.errors import ConfigError
from controller.settings import Secrets, Settings, load_settings
from framehaul.contract.uris import Uri
from framehaul.errors import BadAccount
from framehaul.storage.accounts import Account, Accounts
from framehaul.storage.base import Stores

B2 = {"B2_KEY": "004id", "B2_SECRET": "K004hush"}


def accounts(environment: dict[str, str], **stores: dict[str, object]) -> Accounts:
    """Gather accounts from names and settings."""
    return accounts_of(Secrets.of(environment), Settings.model_validate({"stores": stores}))


def test_b2_has_its_own_names_and_amazon_has_amazons() -> None:
    """Each scheme that something was said of has an account; the others are left to their store."""
    found = accounts(
        B2
        | {"B2_ENDPOINT": "s3.us-west-004.backblazeb2.com"}
        | {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_SESSION_TOKEN": "token"}
        | {"AWS_ENDPOINT_URL": "https://a.example", "AWS_DEFAULT_REGION": "eu-west-1"}
    )

    assert found["b2"] == Account(
        SecretStr("004id"), SecretStr("K004hush"), endpoint="https://s3.us-west-004.backblazeb2.com"
    )
    assert found["s3"] == Account(
        SecretStr("AKIA"), SecretStr("hush"), SecretStr("token"), "https://a.example", "eu-west-1"
    )
    assert accounts({}) == {}
    assert "hush" not in f"{found}"


def test_the_narrower_name_wins_as_with_amazons_own_programs() -> None:
    """S3's endpoint over everybody's, the region over the default one."""
    names = {"AWS_ENDPOINT_URL": "https://a.example", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9000/"}

    found = accounts(names | {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"})

    assert (found["s3"].endpoint, found["s3"].region) == ("http://127.0.0.1:9000", "eu-west-1")


def test_settings_say_where_a_store_answers_unless_the_environment_does() -> None:
    """An endpoint that stands beside a key is that key's own; the path style is a matter of settings alone."""
    stores: dict[str, dict[str, object]] = {
        "s3": {"endpoint": "minio.example:9000", "region": "eu", "path_style": True},
        "b2": {"endpoint": "https://of-settings.example"},
    }

    found = accounts(B2 | {"B2_ENDPOINT": "https://of-env.example"}, **stores)

    assert found["s3"] == Account(endpoint="https://minio.example:9000", region="eu", path_style=True)
    assert found["b2"].endpoint == "https://of-env.example"


@pytest.mark.parametrize(
    ("names", "scheme", "lacking"),
    [
        ({"B2_KEY": "004id"}, "b2", "B2_KEY is set, B2_SECRET is not"),
        ({"B2_SECRET": "hush"}, "b2", "B2_SECRET is set, B2_KEY is not"),
        ({"AWS_ACCESS_KEY_ID": "AKIA"}, "s3", "AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not"),
        ({"AWS_SECRET_ACCESS_KEY": "hush"}, "s3", "AWS_SECRET_ACCESS_KEY is set, AWS_ACCESS_KEY_ID is not"),
        ({"AWS_SESSION_TOKEN": "hush"}, "s3", "AWS_SESSION_TOKEN is set, AWS_ACCESS_KEY_ID is not"),
    ],
)
def test_half_an_account_is_refused_where_it_is_wanted_and_nowhere_else(
    names: dict[str, str], scheme: str, lacking: str
) -> None:
    """It names what is lacking, and nothing of what is there; work that needs no bucket goes on beside it."""
    with Stores(accounts(names)) as stores:
        stores.open(Uri("file", "", "/somewhere"))
        with pytest.raises(BadAccount) as told:
            stores.open(Uri(scheme, "clips", ""))
        (found,) = check_accounts(accounts(names), stores)

    assert lacking in str(told.value)
    assert "hush" not in str(told.value)
    assert (found.level, lacking in found.told) == (Level.WARN, True)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("B2_ENDPOINT", "https://key:hush@s3.example", "B2_ENDPOINT: give the address of a store"),
        ("B2_ENDPOINT", "https://s3.example/hush", "B2_ENDPOINT: give the store's address alone"),
        ("AWS_ENDPOINT_URL", "ftp://hush", "AWS_ENDPOINT_URL: give the address of a store"),
        ("AWS_ENDPOINT_URL_S3", "https://[hush", "AWS_ENDPOINT_URL_S3: give the address of a store"),
        ("B2_BUCKET", "b2://hush", "B2_BUCKET is no bucket's name"),
        ("B2_BUCKET", "hush/in", "B2_BUCKET is no bucket's name"),
        ("AUTO_UPLOAD_B2", "perhaps", "AUTO_UPLOAD_B2: give yes or no, not 'perhaps'"),
    ],
)
def test_a_name_that_holds_something_else_is_told(name: str, value: str, words: str) -> None:
    """Without its value where that may be a secret, pasted in the wrong place."""
    with pytest.raises(ConfigError) as told:
        Secrets.of({name: value})

    assert words in str(told.value)
    assert "hush" not in str(told.value)


@pytest.mark.parametrize(
    ("prefix", "address"),
    [
        ("input/c1", "b2://clips/input/c1/"),
        ("input/c1/", "b2://clips/input/c1/"),
        ("in/*.mp4", "b2://clips/in/*.mp4"),
        ("a b/ä", "b2://clips/a b/ä/"),
        ("./input/c1", "./input/c1"),
        ("/data/in", "/data/in"),
        ("~/in", "~/in"),
        ("file:in", "file:in"),
        ("s3://other/in/", "s3://other/in/"),
    ],
)
def test_an_input_dir_is_a_prefix_in_the_own_bucket(prefix: str, address: str) -> None:
    """A folder on disk is written as one."""
    assert input_below_bucket(prefix, Secrets.of({"B2_BUCKET": "clips"})) == address


def test_without_a_bucket_short_names_lead_nowhere() -> None:
    """What is not set is named, with who wanted it."""
    with pytest.raises(ConfigError, match=r"--input-dir in means a place in your bucket, and B2_BUCKET is not set\."):
        input_below_bucket("in", Secrets())
    with pytest.raises(ConfigError, match="--input-dir names nothing"):
        input_below_bucket(" ", Secrets.of({"B2_BUCKET": "clips"}))
    with pytest.raises(ConfigError, match="AUTO_UPLOAD_B2 means a place in your bucket"):
        auto_target(Secrets.of({"AUTO_UPLOAD_B2": "true"}))


@pytest.mark.parametrize(
    ("said", "target"),
    [("1", "b2://clips/output/"), ("Yes", "b2://clips/output/"), ("true", "b2://clips/output/"), ("0", None)],
)
def test_auto_upload_is_a_switch(said: str, target: str | None) -> None:
    """However yes is spelled."""
    assert auto_target(Secrets.of({"AUTO_UPLOAD_B2": said, "B2_BUCKET": "clips"})) == target


def test_a_command_takes_its_accounts_from_env_files_and_exports_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that inherits the environment inherits no key; what is given with --to goes before AUTO_UPLOAD_B2."""
    monkeypatch.chdir(tmp_path)
    for name in (*B2, "B2_BUCKET", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AUTO_UPLOAD_B2"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".env").write_text("B2_KEY=004id\nB2_SECRET=K004hush\nB2_BUCKET=clips\nAUTO_UPLOAD_B2=1\n")
    (tmp_path / "mine.env").write_text("B2_BUCKET=mine\n")
    configured = Configured(env_file=Path("mine.env"))

    settings = settings_of(configured, chosen=Chosen(inputs=["a.mp4"], input_dir="in"))

    assert settings.inputs == ("a.mp4", "b2://mine/in/")
    assert (settings.to, "to" in settings.model_fields_set) == ("b2://mine/output/", False)
    assert settings_of(configured, results=Results(to="there")).to == "there"
    assert accounts_for(configured, settings)["b2"].secret == SecretStr("K004hush")
    assert not any("hush" in value for value in os.environ.values())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stores: {b2: {endpont: x}}", "line 1, column 15: b2 has no option 'endpont' (did you mean endpoint?)"),
        ("stores: {gcs: {}}", "line 1, column 10: there is no store 'gcs' to set up (known: b2, s3)"),
        ("stores: {s3: {path_style: maybe}}", "stores.s3.path_style: give true or false, not 'maybe'"),
        ("stores: {s3: {region: 'a b'}}", "stores.s3.region: give a region's name, such as us-west-004"),
        ("stores: {s3: {endpoint: 'https://x/y'}}", "stores.s3.endpoint: give the store's address alone"),
        ("stores: {s3: 5}", "stores.s3: give `name: value` lines, not 5"),
        ("stores: {b2: {secret: hush}}", "line 1, column 15: secret is a secret: put it into .env or the environment"),
        ("stores: {b2: {key_id: hush}}", "key_id is a secret: put it into .env"),
        ("stores: {s3: {secret_access_key: hush}}", "secret_access_key is a secret: put it into .env"),
        ("stores: {s3: {aws_session_token: hush}}", "aws_session_token is a secret: put it into .env"),
        ("presets: {mine: {stores: {}}}", "a preset cannot hold stores"),
    ],
)
def test_what_settings_say_of_stores_is_judged_key_by_key(tmp_path: Path, text: str, words: str) -> None:
    """With its place; and an account's secrets never stand there."""
    (tmp_path / "config.yaml").write_text(text)

    with pytest.raises(ConfigError) as told:
        load_settings(tmp_path / "config.yaml", {})

    assert words in str(told.value)
    assert "hush" not in str(told.value)
