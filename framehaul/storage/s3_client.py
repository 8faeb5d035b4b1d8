"""One bucket behind boto3's client (botocore's, that is): called with our patience, our errors, the store's hour."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.configprovider import ConstantProvider
from botocore.handlers import BUILTIN_HANDLERS
from botocore.loaders import Loader, create_loader

from framehaul.clock import Clock
from framehaul.contract.uris import Uri
from framehaul.errors import FramehaulError
from framehaul.storage.http_reading import Patience
from framehaul.storage.s3_errors import no_credentials, wire_errors
from framehaul.storage.s3_hours import StoreHours
from framehaul.storage.s3_listing import read_page
from framehaul.storage.s3_site import Site, check_not_plain

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_TRIES = 5
_CONNECTIONS = 32
_CONNECT_TIMEOUT_S = 10.0
_READ_TIMEOUT_S = 60.0
# What a store may say to a signature of the wrong hour; a reply to HEAD has no body that says which of them it is.
_MAYBE_SKEWED = frozenset({400, 401, 403})


class Bucket:
    """One bucket of one service, as one account sees it. Threads share it; the client is made when first needed."""

    def __init__(self, site: Site, name: str, clock: Clock, tries: int = _TRIES) -> None:
        self.site = site
        self.name = name
        self.clock = clock
        self.hours = StoreHours(clock)
        self.knows_conditions = True  # until the service says that it does not
        self._tries = tries
        self._lock = threading.Lock()
        self._made: S3Client | None = None
        self._endpoint: str | None = site.endpoint

    def patience(self) -> Patience:
        """Give one operation its count of tries."""
        return Patience(self.clock, self._tries)

    def call(self, operation: str, uri: Uri, **params: Any) -> Any:
        """Ask, and ask again while the service is only unavailable; gives what boto3 gives."""
        return self.patience().retrying(self.once, operation, uri, **params)

    def once(self, operation: str, uri: Uri, **params: Any) -> Any:
        """Ask one time; a second time where the service has just told us that our clock was wrong."""
        jumps = self.hours.jumps
        with wire_errors(self.site, operation, uri):
            try:
                return self._asked(operation, params)
            except self._client.exceptions.ClientError as exc:
                status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
                if self.hours.jumps == jumps or status not in _MAYBE_SKEWED:
                    raise
            return self._asked(operation, params)

    def presigned(self, operation: str, uri: Uri, expires_s: int, **params: Any) -> str:
        """Write an address that needs no key. Signed with the store's hour, which is asked for if nobody knows it."""
        self._learn_hour(uri)
        with wire_errors(self.site, operation, uri):
            address: str = self._client.generate_presigned_url(
                operation, Params={"Bucket": self.name, **params}, ExpiresIn=expires_s
            )
        return address

    def endpoint(self) -> str:
        """Say where the service answers. Needs no key and looks for none: such a search may ask the network."""
        with self._lock:
            if self._endpoint is None:
                self._endpoint = self._made.meta.endpoint_url if self._made else _endpoint(self.site)
            return self._endpoint

    def close(self) -> None:
        """Close idle connections; the next call opens new ones."""
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made.close()

    @property
    def _client(self) -> S3Client:
        with self._lock:
            if self._made is None:
                self._made = _client(self.site, self.hours)
            return self._made

    def _asked(self, operation: str, params: dict[str, Any]) -> Any:
        body = params.get("Body")
        if body is not None:  # perhaps a second try: what the first one read is sent again
            body.seek(0)
        method: Callable[..., Any] = getattr(self._client, operation)
        return method(Bucket=self.name, **params)

    def _learn_hour(self, uri: Uri) -> None:
        """Ask anything, once: every answer carries the hour, a refusal too. Where none comes our own hour must do."""
        if not self.hours.is_known:
            with contextlib.suppress(FramehaulError):
                self.once("list_objects_v2", uri, MaxKeys=1)


def _endpoint(site: Site) -> str:
    """Let botocore work out the endpoint as for a client that signs."""
    # To sign it would look for keys; to choose defaults by itself it would ask the network where we are.
    quirks: dict[str, Any] = {"signature_version": UNSIGNED, "defaults_mode": "legacy"}
    with wire_errors(site, "list_objects_v2", Uri(site.scheme, "", "")):
        client = _session(site).create_client("s3", region_name=site.region, config=Config(**quirks))
    endpoint: str = client.meta.endpoint_url
    client.close()
    return endpoint


def _session(site: Site) -> botocore.session.Session:
    session = botocore.session.Session()
    session.register_component("data_loader", _descriptions())
    if site.scheme == "b2":
        _forget_amazon(session)
    return session


def _client(site: Site, hours: StoreHours) -> S3Client:
    session = _session(site)
    if site.key is not None:
        key_id, secret = (half.get_secret_value() for half in site.key)
        session.set_credentials(key_id, secret, site.session_token.get_secret_value() if site.session_token else None)
    quirks: dict[str, Any] = {
        "signature_version": "s3v4",
        "retries": {"total_max_attempts": 1, "mode": "standard"},  # the waiting is ours, and goes through the clock
        "connect_timeout": _CONNECT_TIMEOUT_S,
        "read_timeout": _READ_TIMEOUT_S,
        "max_pool_connections": _CONNECTIONS,
        # B2 refuses the newer checksums, and a ranged read of an object that has one cannot be checked.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        "s3": {"addressing_style": "path" if site.path_style else "auto"},
    }
    if site.is_loopback:
        quirks["proxies"] = {}  # not None, which means those of the environment
    with wire_errors(site, "list_objects_v2", Uri(site.scheme, "", "")):
        if site.key is None and session.get_credentials() is None:
            raise no_credentials(site)
        client = cast(
            "S3Client",
            session.create_client("s3", region_name=site.region, endpoint_url=site.endpoint, config=Config(**quirks)),
        )
    check_not_plain(client.meta.endpoint_url)
    _listen(client, hours)
    return client


@cache
def _descriptions() -> Loader:
    """Share what botocore knows of the service: reading it takes a tenth of a second and 20 MB for each client."""
    return create_loader()


def _forget_amazon(session: botocore.session.Session) -> None:
    """Keep Amazon's settings of this user, its profiles and its endpoints, away from another company's service."""
    settings = session.get_component("config_store")
    settings.set_config_provider("profile", ConstantProvider(None))
    settings.set_config_provider("config_file", ConstantProvider(os.devnull))
    settings.set_config_provider("credentials_file", ConstantProvider(os.devnull))
    settings.set_config_provider("ignore_configured_endpoint_urls", ConstantProvider(True))


def _listen(client: S3Client, hours: StoreHours) -> None:
    """Hook in what botocore has events for: the hour of replies and signatures, and pages of listings."""

    def received(response_dict: dict[str, Any] | None, **_: object) -> None:
        date = (response_dict or {}).get("headers", {}).get("date")
        if date:
            hours.learn(date)

    def stay(context: dict[str, Any], **_: object) -> None:
        # botocore would mend a wrong region for our own calls, and not for presigned addresses: agents would meet it.
        context["s3_redirect"] = {**context.get("s3_redirect", {}), "redirected": True}

    client.meta.events.register_last("before-parameter-build.s3", stay)
    client.meta.events.register("response-received.s3", received)
    client.meta.events.register("before-sign.s3", hours.stamp)
    client.meta.events.register_first("choose-signer.s3", hours.choose)
    _put_first(client, "before-parse.s3.*", read_page)


def _put_first(client: S3Client, event: str, handler: Callable[..., Any]) -> None:
    """Let a handler see an answer before botocore's own do: one of them reads the whole page to look for an error."""
    theirs = [entry[1] for entry in BUILTIN_HANDLERS if entry[0] == event]
    for other in theirs:
        client.meta.events.unregister(event, other)
    for each in (handler, *theirs):
        client.meta.events.register(event, each)
