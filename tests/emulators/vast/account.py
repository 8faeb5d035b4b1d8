"""The account: who it is, what it has left, and its ssh keys (1.7, 1.8)."""

from __future__ import annotations

from typing import Any

from tests.emulators.vast.desk import Asked, Desk
from tests.emulators.vast.offers import names
from tests.emulators.vast.words import Reply, no, yes

_USER = 4711


def user(desk: Desk, asked: Asked, words: list[str]) -> Reply:
    """Answer the account; `credit` is what is left (1.8)."""
    credit = desk.market.purse.credit
    return Reply(
        200,
        {
            **{"id": _USER, "username": "haul", "email": "haul@example.org", "sid": "s-1", "api_key": asked.key},
            **{
                "balance": 0.0,
                "credit": credit,
                "balance_threshold": 0.0,
                "fullname": "A Hauler",
                "billaddress_line1": "",
            },
            **{"ssh_key": "\n".join(desk.ssh_keys.values()), "has_billing": True},
        },
    )


def gpu_names(desk: Desk, asked: Asked, words: list[str]) -> Reply:
    """Answer what every call of the official CLI asks first, without a key (1.1)."""
    return Reply(200, {"gpu_names": names(desk.market.asks.all.values())})


def ssh_keys(desk: Desk, asked: Asked, words: list[str]) -> Reply:
    """Answer all; 1.7: none is a 404. The rows' fields are a guess [?]."""
    if not desk.ssh_keys:
        raise no(404, "not_found", "No SSH keys found for the user.")
    return Reply(200, [_shown(number, key) for number, key in desk.ssh_keys.items()])


def add_ssh_key(desk: Desk, asked: Asked, words: list[str]) -> Reply:
    """Add one to the account."""
    key = _told(asked)
    number = max(desk.ssh_keys, default=900) + 1
    desk.ssh_keys[number] = key
    return yes(key=_shown(number, key))


def change_ssh_key(desk: Desk, asked: Asked, words: list[str]) -> Reply:
    """Replace one."""
    number = _known(desk, words[0])
    desk.ssh_keys[number] = _told(asked)
    return yes(key=_shown(number, desk.ssh_keys[number]))


def remove_ssh_key(desk: Desk, asked: Asked, words: list[str]) -> Reply:
    """Remove one."""
    del desk.ssh_keys[_known(desk, words[0])]
    return yes()


def attach(desk: Desk, asked: Asked, words: list[str]) -> Reply:
    """Give a key the right to log in to an instance."""
    one, key = desk.market.find(int(words[0])), _told(asked)
    if key in one.ssh_keys.values():
        raise no(400, "invalid_args", "SSH key already associated with instance.")
    one.ssh_keys[max(one.ssh_keys, default=500) + 1] = key
    return yes(msg="SSH key added to instance.")


def detach(desk: Desk, asked: Asked, words: list[str]) -> Reply:
    """Take it away again."""
    one = desk.market.find(int(words[0]))
    if one.ssh_keys.pop(int(words[1]), None) is None:
        raise no(404, "not_found", "SSH key not associated with instance.")
    return yes(msg="SSH key removed from instance.")


def _told(asked: Asked) -> str:
    key = asked.body.get("ssh_key")
    if not isinstance(key, str) or not key.startswith(("ssh-", "ecdsa-", "sk-")):
        raise no(400, "invalid_args", "Invalid SSH key")
    return key.strip()


def _known(desk: Desk, word: str) -> int:
    if int(word) not in desk.ssh_keys:
        raise no(404, "not_found", f"SSH key {word} not found")
    return int(word)


def _shown(number: int, key: str) -> dict[str, Any]:
    return {"id": number, "user_id": _USER, "public_key": key, "created_at": None, "deleted_at": None}
