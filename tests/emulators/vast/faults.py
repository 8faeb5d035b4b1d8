"""What can be broken by name, which requests and instances a fault means, and how often it strikes.

Of requests; {"endpoint"} is one of routes.py's names ("create", "list", "destroy", "stop", …) and, where it stands in
brackets, needed. With `committed=False` what was asked is not done; else it is done, and only a success is spoilt.
    reply_lost {"endpoint", "committed"}        the connection is closed without an answer
    bad_gateway {"endpoint", "committed", "code"}   502, or 503, 504
    hangs {"endpoint", "committed", "seconds"}  no answer until then, until released, or until the client hangs up
    throttled {"endpoint", "form", "retry_after"}   429, as "plain" text or "json"
    success_false {"endpoint", "error", "msg"}  200, and nothing was done
    answers {"endpoint", "code", "body"}        just this, and nothing was done
    bad_key {"form"}                            "401" or "404"
    search_quota                                the day's searches are used up
    filters_ignored                             a search answers everything there is
    offer_gone {"form"}                         create: "410", "404" or "400", and the offer stays away
    bid_too_low                                 create: an instance, stopped, and an error that carries new_contract
    unavailable                                 create: no GPU; an error with cancel_unavail, else a stopped instance
    list_answers {"form"}                       "empty", "blank", "deprecated" or "odd"
    gone_answers {"form"}                       show of what is gone: "404" instead of {"instances": null}
    resurrection {"for_s"}                      destroy: success, and it lives on so long
    destroy_ignored                             destroy: success, and nothing comes of it
    start_queued {"for_s"}                      start: an error, and it starts all the same, so much later
Of instances that are yet to be made; {"label"}, a part of it, says which:
    stuck_loading, oci_error {"message"}, no_ports, exits_at_once, label_lost, listed_late {"for_s"}
Of instances that are, at once; {"instance"} says which, otherwise all:
    outbid, offline {"for_s", "status"}, online, price_increase {"factor"}, credit_gone, contract_ended

Any fault of requests or births takes {"times"} (how often; 0: never) and {"after"} (let n pass first).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_ANY = {"times", "after"}
_DONE = {"endpoint", "committed", "instance"}

# name: its words; what it may say; how often it strikes by itself (None: always).
REQUESTS: Mapping[str, tuple[set[str], int | None]] = {
    "reply_lost": (_DONE, 1),
    "bad_gateway": (_DONE | {"code"}, 1),
    "hangs": (_DONE | {"seconds"}, 1),
    "throttled": ({"endpoint", "form", "retry_after", "instance"}, 1),
    "success_false": ({"endpoint", "error", "msg", "instance"}, 1),
    "answers": ({"endpoint", "code", "body", "instance"}, 1),
    "bad_key": ({"endpoint", "form"}, None),
    "search_quota": (set(), None),
    "filters_ignored": (set(), None),
    "offer_gone": ({"form"}, 1),
    "bid_too_low": (set(), 1),
    "unavailable": (set(), 1),
    "list_answers": ({"form"}, 1),
    "gone_answers": ({"form", "instance"}, None),
    "resurrection": ({"for_s", "instance"}, 1),
    "destroy_ignored": ({"instance"}, 1),
    "start_queued": ({"for_s", "instance"}, 1),
}
BIRTHS: Mapping[str, set[str]] = {
    "stuck_loading": {"label"},
    "oci_error": {"label", "message"},
    "no_ports": {"label"},
    "exits_at_once": {"label"},
    "label_lost": {"label"},
    "listed_late": {"label", "for_s"},
}
EVENTS: Mapping[str, set[str]] = {
    "outbid": {"instance"},
    "offline": {"instance", "for_s", "status"},
    "online": {"instance"},
    "price_increase": {"instance", "factor"},
    "credit_gone": set(),
    "contract_ended": {"instance"},
}
# Words that have no value to fall back to.
_NEEDED = {name: {"endpoint"} for name in ("reply_lost", "bad_gateway", "hangs", "throttled", "success_false")}
_NEEDED |= {"answers": {"endpoint", "code"}, "list_answers": {"form"}}
_FORMS: Mapping[str, set[str]] = {
    "throttled": {"plain", "json"},
    "bad_key": {"401", "404"},
    "offer_gone": {"410", "404", "400"},
    "list_answers": {"empty", "blank", "deprecated", "odd"},
    "gone_answers": {"404"},
}


@dataclass
class Fault:
    """One thing that is broken."""

    name: str
    words: Mapping[str, Any]
    number: int
    times: int | None
    after: int
    struck: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    strikes: int = 0

    def release(self) -> None:
        """Let go of what hangs."""
        self.released.set()

    def fits(self, facts: Mapping[str, Any]) -> bool:
        """Say whether it means this; `label` is a part of the label, the others are equal."""
        words = self.words
        if "label" in words and str(words["label"]) not in str(facts.get("label") or ""):
            return False
        if "committed" in facts and facts["committed"] != words.get("committed", True):
            return False
        return all(facts.get(name) == words[name] for name in ("endpoint", "instance") if name in words)


class Book:
    """All faults that stand."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._made = 0
        self._lock = threading.Lock()

    def add(self, name: str, words: Mapping[str, Any]) -> Fault:
        """Let a fault stand; an unknown word, form or name is a test's typing error."""
        check(name, words)
        once = REQUESTS[name][1] if name in REQUESTS else 1
        with self._lock:
            self._made += 1
            made = Fault(name, words, self._made, words.get("times", once), words.get("after", 0))
            self._faults.append(made)
        return made

    def mend(self, *names: str) -> None:
        """Take away those of these names, or all, and let go of what they hold."""
        with self._lock:
            gone = [fault for fault in self._faults if not names or fault.name in names]
            self._faults = [fault for fault in self._faults if fault not in gone]
        for fault in gone:
            fault.release()

    def find(self, number: int) -> Fault | None:
        """Give a fault that stands by its number."""
        return next((fault for fault in self._faults if fault.number == number), None)

    def strike(self, name: str, **facts: Any) -> Fault | None:
        """Give the first of a name that means this and strikes now."""
        with self._lock:
            for fault in self._faults:
                if fault.name != name or fault.times == 0 or not fault.fits(facts):
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                fault.times = None if fault.times is None else fault.times - 1
                fault.strikes += 1
                fault.struck.set()
                return fault
        return None


def check(name: str, words: Mapping[str, Any]) -> None:
    """Refuse what no fault is called, and words that it does not know or lacks."""
    if name in REQUESTS:
        known = REQUESTS[name][0] | _ANY
    elif name in BIRTHS:
        known = BIRTHS[name] | _ANY
    elif name in EVENTS:
        known = EVENTS[name]
    else:
        raise ValueError(f"no such fault: {name}")
    if odd := set(words) - known:
        raise ValueError(f"{name} knows no {' '.join(sorted(odd))}")
    if lacking := _NEEDED.get(name, set()) - set(words):
        raise ValueError(f"{name} needs {' '.join(sorted(lacking))}")
    form = words.get("form")
    if form is not None and form not in _FORMS.get(name, set()):
        raise ValueError(f"{name} has no form {form}")
