"""Settings behind an address: fetched with limits, and not trusted with everything."""

from __future__ import annotations

import ipaddress
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any
from urllib.parse import urljoin

import httpx

from controller.errors import ConfigError
from controller.settings.environment import SECRET_NAMES
from controller.settings.files import Document, has_aliases, parse, place_of_no_text
from framehaul.clock import Clock, SystemClock
from framehaul.contract.uris import Uri, parse_uri
from framehaul.errors import BadUri, StoreError
from framehaul.storage.http_replies import refusal, wire_errors

Fetch = Callable[[str], str]

TIMEOUT_S = 10.0
MAX_BYTES = 1 << 20
MAX_REDIRECTS = 3
_REDIRECTS = {301, 302, 303, 307, 308}
_LOCAL_KEYS = {
    "config_url": "it would lead on to another address",
    "allow_stale_config": "whoever reads it decides that",
}
_SECRET = re.compile(r"(^|_)(api_?key|secret|token|password|passwd)$", re.IGNORECASE)


class _Patience:
    """How long the whole may take, from the name's look-up to the last byte after the last redirect."""

    def __init__(self, clock: Clock, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._clock = clock
        self._until = clock.now() + timeout_s

    def check(self, here: Uri) -> None:
        """Raise when it is used up."""
        if self._clock.now() > self._until:
            raise self.lost(here)

    def lost(self, here: Uri) -> ConfigError:
        """Say that it is used up."""
        return ConfigError(f"{here.public()} does not answer in full within {self.timeout_s:g} s.")


def fetch_config(
    url: str,
    *,
    transport: httpx.BaseTransport | None = None,
    clock: Clock | None = None,
    timeout_s: float = TIMEOUT_S,
) -> str:
    """Get the text behind an address: https, or plain http on this machine; within 10 s, 1 MiB and 3 redirects.

    ConfigError says what is wrong without the address's user, password and query, which may be secrets.
    """
    patience = _Patience(clock or SystemClock(), timeout_s)
    here = _checked(url, None)
    return _in_time(lambda: _followed(url, here, transport, patience), here, patience)


def _in_time(fetch: Callable[[], str], here: Uri, patience: _Patience) -> str:
    """Give up on a fetch that takes too long, wherever it hangs.

    The timeouts of httpx count anew with each read, so a server may drip its headers for ever; looking up a name has
    no timeout at all. The thread that is left behind keeps nobody from leaving.
    """
    outcome: Future[str] = Future()

    def carry() -> None:
        try:
            outcome.set_result(fetch())
        except BaseException as exc:  # noqa: BLE001 - handed on
            outcome.set_exception(exc)

    threading.Thread(target=carry, name="config_url", daemon=True).start()
    try:
        return outcome.result(patience.timeout_s)
    except TimeoutError as exc:
        raise patience.lost(here) from exc


def _followed(url: str, here: Uri, transport: httpx.BaseTransport | None, patience: _Patience) -> str:
    """Ask, and follow redirects."""
    for _ in range(MAX_REDIRECTS + 1):
        answer = _ask(url, here, transport, patience)
        if isinstance(answer, bytes):
            return _text(answer, here)
        url = answer
        here = _checked(url, here)
        patience.check(here)
    raise ConfigError(f"config_url: {here.public()}: redirected more than {MAX_REDIRECTS} times.")


def judged_remote(url: str, text: str) -> Document:
    """Read what came; ConfigError where it is no settings, or sets what only this machine may set."""
    name = public_address(url)
    if not text.strip():
        raise ConfigError(f"{name} is empty.")
    document = parse(name, text)
    if has_aliases(document.tree):
        raise ConfigError(f"{name}: references (&name, *name) are not taken from an address.")
    for path, why in _forbidden(document.values):
        place = document.place(path, of_key=True)
        key = ".".join(map(str, path))
        raise ConfigError(f"{name}{place}: {key} cannot be set from an address: {why}.")
    return document


def public_address(url: str) -> str:
    """Write an address without what may be secret in it."""
    return parse_uri(url).public()


def _checked(url: str, before: Uri | None) -> Uri:
    """Judge an address, or the one that a redirect leads to; plain http never follows https."""
    try:
        found = parse_uri(url)
    except BadUri:
        found = Uri("", "", "")
    if found.scheme not in {"http", "https"}:
        raise ConfigError("config_url is no https:// address.")
    if found.scheme == "https" or (_is_loopback(url) and (before is None or before.scheme == "http")):
        return found
    if before is None:
        raise ConfigError(f"config_url: {found.public()}: plain http can be changed on its way.", advice="Use https.")
    raise ConfigError(f"config_url: {before.public()} redirects to plain http; that is not followed.")


def _is_loopback(url: str) -> bool:
    try:
        host = httpx.URL(url).host
    except httpx.InvalidURL:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _ask(url: str, here: Uri, transport: httpx.BaseTransport | None, patience: _Patience) -> bytes | str:
    """Ask once: the body, or the address that a redirect names."""
    try:
        with wire_errors(here), _client(url, here, transport, patience) as client, client.stream("GET", url) as reply:
            if reply.status_code in _REDIRECTS and reply.headers.get("location"):
                return urljoin(url, reply.headers["location"])
            if reply.status_code != 200:
                raise refusal(here, reply)
            return _body(reply, here, patience)
    except (StoreError, BadUri) as exc:
        raise ConfigError(exc.message) from exc


def _client(url: str, here: Uri, transport: httpx.BaseTransport | None, patience: _Patience) -> httpx.Client:
    """Open a client for one address: a redirect gets its own, so that none carries trust over to another."""
    return httpx.Client(
        transport=transport,
        timeout=patience.timeout_s,
        verify=here.scheme == "https",  # reading the certificates is slow, and plain http has none
        trust_env=not _is_loopback(url),  # a proxy has no business between this machine and itself
    )


def _body(reply: httpx.Response, here: Uri, patience: _Patience) -> bytes:
    body = b""
    for piece in reply.iter_bytes():
        body += piece
        if len(body) > MAX_BYTES:
            raise ConfigError(f"{here.public()} is larger than {MAX_BYTES >> 20} MiB; settings are not.")
        patience.check(here)  # each piece may come in time, and the whole never
    return body


def _text(body: bytes, here: Uri) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{here.public()}{place_of_no_text(exc)}: this is no UTF-8 text.") from exc


def _forbidden(values: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for key, why in _LOCAL_KEYS.items():
        if key in values:
            yield (key,), why
    for path in _paths(values):
        if path[0] == "providers" and path[-1] == "launcher":
            yield path, "it runs a command on this machine"
        elif str(path[-1]).upper() in SECRET_NAMES or _SECRET.search(str(path[-1])):
            yield path, "it is a secret, which belongs into .env or the environment"


def _paths(value: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """List every key at any depth; the tree has no references, so it is no larger than its text."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        path = (*above, key)
        if isinstance(value, Mapping):
            yield path
        yield from _paths(inner, path)
