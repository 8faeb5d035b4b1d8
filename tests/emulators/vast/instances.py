"""Show, list, stop, start, label, destroy, and the logs (1.5, 1.7)."""

from __future__ import annotations

import secrets
from typing import Any

from tests.emulators.vast import rows
from tests.emulators.vast.desk import Asked, Desk
from tests.emulators.vast.life import Instance
from tests.emulators.vast.orders import MOST_LABEL_LATER, check_label
from tests.emulators.vast.words import Reply, deprecated_list, no, no_such_instance, yes

_TAIL_LINES = 1000


def show(desk: Desk, asked: Asked, words: list[str]) -> Reply:
    """Answer one, in an object called `instances`; 1.5: one that is gone is null, or a 404."""
    number = int(words[0])
    if number not in desk.market.instances:
        if desk.book.strike("gone_answers", instance=number):
            raise no_such_instance(number)
        return Reply(200, {"instances": None})
    return Reply(200, {"instances": rows.row(desk.market.find(number), desk.market.hour)})


def listed(desk: Desk, asked: Asked, words: list[str]) -> Reply:
    """Answer a page."""
    if fault := desk.book.strike("list_answers"):
        return _odd_list(fault.words["form"])
    return rows.page(_all(desk), asked.query)


def old_list(desk: Desk, asked: Asked, words: list[str]) -> Reply:
    """Answer the list that is retired (1.5)."""
    return deprecated_list()


def filters(desk: Desk, asked: Asked, words: list[str]) -> Reply:
    """Answer what can be filtered by."""
    return rows.combinations(_all(desk))


def manage(desk: Desk, asked: Asked, words: list[str]) -> Reply:
    """Stop, start, label."""
    one, body = desk.market.find(int(words[0])), asked.body
    if not {"state", "label"} & set(body):
        raise no(400, "invalid_args", "neither state nor label")
    if "label" in body:
        check_label(body["label"], MOST_LABEL_LATER)
        one.label = body["label"]
    if "state" in body:
        _set_state(desk, one, body["state"])
    return yes()


def bulk_state(desk: Desk, asked: Asked, words: list[str]) -> Reply:
    """Stop or start several."""
    for number in _numbers(asked.body.get("ids")):
        _set_state(desk, desk.market.find(number), asked.body.get("state"))
    return yes()


def destroy(desk: Desk, asked: Asked, words: list[str]) -> Reply:
    """Destroy one."""
    desk.market.destroy(desk.market.find(int(words[0])))
    return yes()


def bulk_destroy(desk: Desk, asked: Asked, words: list[str]) -> Reply:
    """Destroy several; those that are gone already are passed over."""
    for number in _numbers(asked.body.get("instance_ids")):
        if number in desk.market.instances:
            desk.market.destroy(desk.market.find(number))
    return yes()


def reboot(desk: Desk, asked: Asked, words: list[str]) -> Reply:
    """Stop and start one, on its GPU."""
    desk.market.reboot(desk.market.find(int(words[0])))
    return yes()


def bid(desk: Desk, asked: Asked, words: list[str]) -> Reply:
    """Change what an interruptible instance offers."""
    one, price = desk.market.find(int(words[0])), asked.body.get("price")
    if not one.is_bid or not isinstance(price, int | float) or price <= 0:
        raise no(400, "invalid_price", f"invalid price {price}")
    one.gpu_dph = float(price)
    return yes()


def logs(desk: Desk, asked: Asked, words: list[str]) -> Reply:
    """Take a snapshot of what was printed, and say where it will lie; 1.7: it does not follow."""
    number = int(words[0])
    if number not in desk.market.instances:
        raise no(404, "invalid_id", f"Invalid instance id {number}")
    one, body = desk.market.find(number), asked.body
    text = one.message if body.get("daemon_logs") == "true" else desk.processes.log(number)
    lines = [line for line in text.splitlines() if str(body.get("filter") or "") in line]
    name = secrets.token_hex(32)
    desk.texts[name] = ("\n".join(lines[-_tail(body) :]) + "\n", desk.late_texts)
    url = f"http://{asked.headers['host']}/instance_logs/{name}.log"
    return yes(result_url=url, msg="Logs requested")


def log_text(desk: Desk, asked: Asked, words: list[str]) -> Reply:
    """Answer a snapshot without a key, and not at once."""
    if words[0] not in desk.texts:
        return Reply(404, "not found")
    text, refusals = desk.texts[words[0]]
    if refusals > 0:
        desk.texts[words[0]] = (text, refusals - 1)
        return Reply(403, "<Error><Code>AccessDenied</Code></Error>")
    return Reply(200, text)


def _set_state(desk: Desk, one: Instance, state: Any) -> None:
    if state == "stopped":
        desk.market.stop(one)
    elif state == "running":
        desk.market.start(one)
    else:
        raise no(400, "invalid_args", f"no such state: {state}")


def _tail(body: dict[str, Any]) -> int:
    """Read how many lines are wanted; the client sends text."""
    tail = str(body.get("tail") or _TAIL_LINES)
    if not tail.isdigit():
        raise no(400, "invalid_args", f"invalid tail {tail}")
    return max(int(tail), 1)


def _all(desk: Desk) -> list[dict[str, Any]]:
    """Give every row that the list knows of already."""
    hour = desk.market.hour
    return [rows.row(one, hour) for one in desk.market.instances.values() if one.listed_from <= hour]


def _numbers(told: Any) -> list[int]:
    if not isinstance(told, list) or not all(isinstance(number, int) for number in told):
        raise no(400, "invalid_args", "ids must be a list of numbers")
    return told


def _odd_list(form: str) -> Reply:
    """Answer as lists went wrong before: empty, no body, the address's end, another shape (1.11)."""
    if form == "deprecated":
        return deprecated_list()
    if form == "blank":
        return Reply(200, "")
    if form == "odd":
        return Reply(200, {"success": True, "instances": {"0": None}})
    empty = {"instances_found": 0, "total_instances": 0, "label_counts": {}, "next_token": None, "instances": []}
    return yes(**empty)
