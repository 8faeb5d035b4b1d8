"""Which address is which endpoint, by the names that faults, the log and the pacing use."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tests.emulators.vast import account, instances, searching
from tests.emulators.vast.desk import Asked, Route
from tests.emulators.vast.words import no

# (method, address below /api, endpoint); a group of the pattern is a word for whoever answers.
_TABLE: Sequence[tuple[str, str, Route]] = (
    ("POST", "v0/bundles", Route("search", searching.search)),
    ("GET", "v0/bundles", Route("search", searching.search)),
    ("PUT", "v0/search/asks", Route("search", searching.search)),
    ("PUT", r"v0/asks/(\d+)", Route("create", searching.create)),
    ("GET", "v0/instances", Route("old_list", instances.old_list)),
    ("GET", "v1/instances", Route("list", instances.listed)),
    ("GET", "v0/instances/filters", Route("list_filters", instances.filters)),
    ("GET", r"v0/instances/(\d+)", Route("show", instances.show)),
    ("PUT", r"v0/instances/(\d+)", Route("manage", instances.manage)),
    ("DELETE", r"v0/instances/(\d+)", Route("destroy", instances.destroy)),
    ("PUT", "v0/instances", Route("bulk_state", instances.bulk_state)),
    ("DELETE", "v0/instances", Route("bulk_destroy", instances.bulk_destroy)),
    ("PUT", r"v0/instances/reboot/(\d+)", Route("reboot", instances.reboot)),
    ("PUT", r"v0/instances/bid_price/(\d+)", Route("bid", instances.bid)),
    ("PUT", r"v0/instances/request_logs/(\d+)", Route("logs", instances.logs)),
    ("POST", r"v0/instances/(\d+)/ssh", Route("ssh_attach", account.attach)),
    ("DELETE", r"v0/instances/(\d+)/ssh/(\d+)", Route("ssh_detach", account.detach)),
    ("GET", "v0/ssh", Route("ssh_keys", account.ssh_keys)),
    ("POST", "v0/ssh", Route("ssh_key", account.add_ssh_key)),
    ("PUT", r"v0/ssh/(\d+)", Route("ssh_key", account.change_ssh_key)),
    ("DELETE", r"v0/ssh/(\d+)", Route("ssh_key", account.remove_ssh_key)),
    ("GET", "v0/users/current", Route("user", account.user)),
    ("GET", "v0/gpu_names/unique", Route("gpu_names", account.gpu_names, public=True)),
)
_LOG_TEXT = re.compile(r"/instance_logs/([0-9a-f]+)\.log")


def find(asked: Asked) -> tuple[Route, list[str]]:
    """Give the endpoint and its words, or refuse."""
    if asked.method == "GET" and (text := _LOG_TEXT.fullmatch(asked.path)):
        return Route("log_text", instances.log_text, public=True), [text[1]]
    for method, pattern, route in _TABLE:
        if method == asked.method and (found := re.fullmatch(f"/api/{pattern}", asked.path)):
            return _by_body(asked, route), list(found.groups())
    raise no(404, "not_found", f"no such endpoint: {asked.method} {asked.path}")


def _by_body(asked: Asked, route: Route) -> Route:
    """Tell stop, start and label apart, which are one address."""
    if route.name != "manage":
        return route
    state = asked.body.get("state")
    return Route({"stopped": "stop", "running": "start"}.get(str(state), "label"), route.answer)
