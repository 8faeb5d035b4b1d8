"""Settings behind an address: over the file, below the command line, fetched with limits, not trusted with all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from controller.errors import ConfigError
from controller.settings import Settings, fetch_config, load_settings
from controller.settings.remote import MAX_BYTES
from framehaul.clock import ManualClock
from framehaul.contract.lease_secret import LeaseSecret
from tests.controller.loopback_agent import LoopbackAgent
from tests.emulators.files import FileServer
from tests.loopback import loopback

SECRET = LeaseSecret(b"\x07" * 32)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[FileServer]:
    """A web server for a folder."""
    (tmp_path / "web").mkdir()
    with FileServer(tmp_path / "web") as server:
        yield server


def serve(web: FileServer, text: str | bytes) -> str:
    """Put settings on the server; give their address."""
    (web.root / "settings.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return f"{web.url}/settings.yaml"


def load(folder: Path, local: str, given: dict[str, Any] | None = None, told: list[str] | None = None) -> Settings:
    """Load a file whose `config_url` may name the server."""
    path = folder / "config.yaml"
    path.write_text(local)
    return load_settings(path, given or {}, tell=(told if told is not None else []).append)


def refusal(folder: Path, local: str, given: dict[str, Any] | None = None) -> str:
    """Load what is refused; give the sentence."""
    with pytest.raises(ConfigError) as told:
        load(folder, local, given)
    return str(told.value)


def test_the_remote_config_goes_over_the_file_and_below_the_command_line(tmp_path: Path, web: FileServer) -> None:
    """Key by key, and parameter by parameter."""
    url = serve(web, "to: from-remote\nmax_instances: 5\nverify: head\nparams: {crf: 2}\n")
    local = f"config_url: {url}\nto: from-file\nlease_hours: 2\nparams: {{crf: 1, preset: slow}}\n"

    settings = load(tmp_path, local, {"verify": "full"})

    assert (settings.to, settings.max_instances, settings.lease_hours) == ("from-remote", 5, 2)
    assert (settings.verify, settings.params) == ("full", {"crf": 2, "preset": "slow"})


def test_the_command_line_names_another_address_or_none(tmp_path: Path, web: FileServer) -> None:
    """An empty one means: the local settings alone."""
    url = serve(web, '{"to": "from-remote"}')

    assert load(tmp_path, "config_url: https://127.0.0.1:1/\n", {"config_url": url}).to == "from-remote"
    assert load(tmp_path, f"config_url: {url}\nto: here\n", {"config_url": ""}).to == "here"


def test_presets_may_come_from_an_address(tmp_path: Path, web: FileServer) -> None:
    """A team's presets, used by name."""
    url = serve(web, "presets: {team: {verify: full}}\n")

    assert load(tmp_path, f"config_url: {url}\n", {"preset": "team"}).verify == "full"


BROKEN: dict[str, tuple[str | bytes, str]] = {
    "unknown key": ("to: x\npiepline: copy\n", "/settings.yaml, line 2, column 1: there is no setting 'piepline'"),
    "wrong value": ("max_instances: 0\n", "/settings.yaml, line 1, column 16: max_instances: give at least 1, not 0"),
    "no yaml": ("to: [a\n", "/settings.yaml, line 2, column 1: "),
    "a page": ("<!doctype html>\n<p>Please log in\n", "/settings.yaml: expected `key: value` lines, found a str"),
    "empty": (" \n", "/settings.yaml is empty"),
    "no text": (b"to: \xff\n", "/settings.yaml, line 1, column 5: this is no UTF-8 text"),
    "unknown preset": ("preset: nowhere\n", "/settings.yaml, line 1, column 9: there is no preset 'nowhere'"),
    "leads on": ("config_url: https://example.com\n", "config_url cannot be set from an address"),
    "allows": ("allow_stale_config: true\n", "allow_stale_config cannot be set from an address"),
    "launcher": (
        "providers:\n  local:\n    launcher: [sh, -c, evil]\n",
        "line 3, column 5: providers.local.launcher cannot be set from an address: it runs a command on this machine",
    ),
    "deep launcher": ("providers: {vast: {more: [{launcher: x}]}}\n", "providers.vast.more.0.launcher cannot be set"),
    "secret": (
        "providers: {vast: {api_key: hush}}\n",
        "providers.vast.api_key cannot be set from an address: it is a sec",
    ),
    "known secret": ("b2_secret: hush\n", "b2_secret cannot be set from an address: it is a secret"),
    "references": ("params: {a: &a [1, 2], b: [*a, *a]}\n", "references (&name, *name) are not taken"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_remote_config_that_is_wrong_is_refused_and_says_which(tmp_path: Path, web: FileServer, name: str) -> None:
    """With its address and, where there is one, the line; never with the value of a secret."""
    content, expected = BROKEN[name]
    url = serve(web, content)

    told = refusal(tmp_path, f"config_url: {url}\n")

    assert told.startswith("The remote config: ")
    assert expected in told
    assert "hush" not in told


@pytest.mark.parametrize("name", ["missing", *BROKEN])
def test_the_local_settings_hold_alone_only_where_that_was_allowed(tmp_path: Path, web: FileServer, name: str) -> None:
    """And then a person is told."""
    url = f"{web.url}/missing.yaml" if name == "missing" else serve(web, BROKEN[name][0])
    told: list[str] = []

    settings = load(tmp_path, f"config_url: {url}\nto: here\n", {"allow_stale_config": True}, told)

    assert settings.to == "here"
    assert len(told) == 1
    assert told[0].startswith("The remote config is left out, the local settings hold alone: ")


def test_what_could_not_be_had_is_told_apart(tmp_path: Path, web: FileServer) -> None:
    """Nothing there, a server in trouble, a server that is down, and one that lets nobody in."""
    url = serve(web, "to: x\n")
    said = [refusal(tmp_path, f"config_url: {web.url}/missing.yaml\n")]
    for code in (403, 500):
        web.fault("status", code=code, times=1)
        said.append(refusal(tmp_path, f"config_url: {url}\n"))
    web.fault("cut_after", bytes=2, times=1)
    said.append(refusal(tmp_path, f"config_url: {url}\n"))
    said.append(refusal(tmp_path, "config_url: http://127.0.0.1:1/x\n"))

    assert "Nothing lies at" in said[0]
    assert "does not let us read" in said[1]
    assert "cannot answer now" in said[2]
    assert "does not answer in full" in said[3]
    assert "cannot be reached: http://127.0.0.1:1/x" in said[4]
    assert all("--allow-stale-config" in sentence for sentence in said)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "http://example.com/c.yaml?token=hush",
            "http://example.com/c.yaml: plain http can be changed on its way. Use",
        ),
        ("http://127.0.0.1.example.com/", "plain http can be changed on its way"),
        ("ftp://me:hush@example.com/c.yaml", "config_url is no https:// address"),
        ("./other.yaml", "config_url is no https:// address"),
        ("https://", "config_url is no https:// address"),
        ("https://me:hush@127.0.0.1:1/c.yaml?token=hush", "https://127.0.0.1:1/c.yaml"),
        ("https://exa mple.com:port/", "config_url"),
    ],
)
def test_an_address_that_is_not_safe_is_not_asked(tmp_path: Path, url: str, expected: str) -> None:
    """What may be secret in it is not repeated."""
    told = refusal(tmp_path, f"config_url: '{url}'\n")

    assert expected in told or "Not an address" in told
    assert "hush" not in told


def test_a_body_without_end_is_left(tmp_path: Path, web: FileServer) -> None:
    """Settings are small: a mebibyte is taken, one byte more is not."""
    whole = b"to: here\n#" + b"x" * (MAX_BYTES - 10)

    assert load(tmp_path, f"config_url: {serve(web, whole)}\n").to == "here"
    assert "is larger than 1 MiB" in refusal(tmp_path, f"config_url: {serve(web, whole + b'y')}\n")


class Racing(ManualClock):
    """A clock on which every look takes eleven seconds."""

    def now(self) -> float:
        """Give the hour, and move on."""
        self.advance(11)
        return super().now()


def test_a_body_that_drips_is_left_after_ten_seconds(web: FileServer) -> None:
    """Each piece may come in time and the whole never."""
    url = serve(web, "to: x\n")

    assert fetch_config(url) == "to: x\n"
    with pytest.raises(ConfigError, match="does not answer in full within 10 s"):
        fetch_config(url, clock=Racing())


def test_redirects_are_followed_three_times(web: FileServer) -> None:
    """Relative ones too; a circle ends with a sentence."""
    url = serve(web, "to: x\n")
    web.fault("redirect", to="/settings.yaml", times=3)
    assert fetch_config(url) == "to: x\n"

    web.fault("redirect", to="/settings.yaml")
    with pytest.raises(ConfigError, match="redirected more than 3 times"):
        fetch_config(url)
    assert len(web.log()) == 4 + 4


@pytest.mark.parametrize("to", ["http://example.com/x", "file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_redirect_to_an_unsafe_place_is_not_followed(web: FileServer, to: str) -> None:
    """Neither to plain http in the world nor to this machine's own files."""
    url = serve(web, "to: x\n")
    web.fault("redirect", to=to)

    with pytest.raises(ConfigError, match=r"config_url.*(not followed|no https)"):
        fetch_config(url)


async def test_https_never_leads_to_plain_http(tmp_path: Path, web: FileServer) -> None:
    """Not even on this machine: what was safe on its way must stay so."""
    answer = f"HTTP/1.1 302 Found\r\nLocation: {serve(web, 'to: x')}\r\nContent-Length: 0\r\n\r\n".encode()
    async with LoopbackAgent(SECRET, tmp_path, [answer]) as server:
        url = "https://{}:{}/c.yaml".format(*server.address)

        with pytest.raises(ConfigError, match="redirects to plain http; that is not followed"):
            await asyncio.to_thread(fetch_config, url, transport=loopback())

    assert web.log() == []


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    """As it is for every https address."""
    async with LoopbackAgent(SECRET, tmp_path, [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]) as server:
        url = "https://{}:{}/c.yaml".format(*server.address)

        with pytest.raises(ConfigError, match="certificate is not valid"):
            await asyncio.to_thread(fetch_config, url, transport=httpx.HTTPTransport())


def test_the_network_can_be_passed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has the text already needs no server."""
    monkeypatch.chdir(tmp_path)
    settings = load_settings(None, {"config_url": "https://example.com/c"}, fetch=lambda url: f"to: {url[-1]}\n")

    assert settings.to == "c"
