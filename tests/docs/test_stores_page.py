"""The page about buckets says what the code does: every name, option and right in it exists."""

from __future__ import annotations

import re

import pytest
import yaml
from typer.main import get_command

from controller.cli.program import app
from controller.settings import Secrets, Settings
from controller.settings.stores import StoreOptions, endpoint_of
from controller.verify import VerifyMode
from framehaul.storage.s3_errors import VERBS
from tests.docs.pages import DOCS, Page, first_cells

PAGE = Page(DOCS / "stores.md")


def test_every_name_of_an_account_is_read() -> None:
    """And no name that is read is left out."""
    told = first_cells(PAGE.table("name", "is"))
    others = {"vast_api_key", "hf_token", "webhook_url"}

    assert {name.lower() for name in told} == set(Secrets.model_fields) - others


def test_the_settings_that_are_shown_are_settings() -> None:
    """As they stand there."""
    (block,) = PAGE.blocks("yaml")
    settings = Settings.model_validate(yaml.safe_load(block))

    assert StoreOptions.model_validate(settings.stores["s3"]).path_style is True


def test_the_rights_are_those_that_errors_ask_for() -> None:
    """All of them, at both stores."""
    rows = PAGE.table("for", "capability of a B2 key", "right at Amazon")

    assert {(b2.strip("`"), amazon.strip("`")) for _, b2, amazon in rows} == {
        (verb.b2_right, verb.s3_right) for verb in VERBS.values()
    }


def test_the_ways_to_verify_are_the_ways() -> None:
    """Each once."""
    assert first_cells(PAGE.table("`--verify`", "reads")) == [str(mode) for mode in VerifyMode]


@pytest.mark.parametrize("cell", [row[2] for row in PAGE.table("store", "scheme", "endpoint", "region")])
def test_the_endpoints_are_addresses(cell: str) -> None:
    """Those that are spelled out."""
    for word in re.findall(r"`(https://[^`]+)`", cell):
        assert endpoint_of(word) == word


def test_the_options_that_it_names_are_options() -> None:
    """Of one command or another."""
    commands = get_command(app).commands.values()  # type: ignore[attr-defined]
    known = {name for command in commands for param in command.params for name in (*param.opts, *param.secondary_opts)}
    told = set(re.findall(r"--[a-z][a-z-]+", PAGE.text))

    assert told - known == set()


def test_the_batch_that_is_pulled_is_called_as_batches_are() -> None:
    """With the letter that a plan puts before the hour."""
    told = [
        word for block in PAGE.blocks("console") for word in re.findall(r"framehaul pull ([^\s:#-][^\s:]*) ", block)
    ]

    assert told
    assert all(re.fullmatch(r"b-\d{8}-\d{6}-[0-9a-f]{4}", word) for word in told)
