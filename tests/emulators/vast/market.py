"""Asks and instances: who rents what, what becomes of it by the clock, and what it costs meanwhile."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from tests.emulators.vast import life
from tests.emulators.vast.asks import Asks
from tests.emulators.vast.faults import BIRTHS, Book
from tests.emulators.vast.life import GONE, Instance, Lengths, Step
from tests.emulators.vast.money import Purse
from tests.emulators.vast.offers import Offer
from tests.emulators.vast.orders import checked
from tests.emulators.vast.processes import Bodies, mapped_ports
from tests.emulators.vast.words import no, no_such_instance, offer_gone

_NO_TIME_S = 1e-6  # hours are floats; a credit that lasts for less is gone
_BACK = "back"  # no status of vast's: the host is there again
_OCI = "Error response from daemon: failed to create task for container: OCI runtime create failed: runc create failed"


class Market:
    """Everything that is for rent and everything that is rented. Callers hold `lock` and call `settle` first."""

    def __init__(
        self, offers: Iterable[Offer], bodies: Bodies, now: Callable[[], float], book: Book, lengths: Lengths
    ) -> None:
        self.asks = Asks(offers)
        self.instances: dict[int, Instance] = {}
        self.purse = Purse()
        self.lock = threading.RLock()
        self.lengths = lengths
        self.hour = now()
        self.dead_keys: set[str] = set()
        self._now = now
        self._bodies = bodies
        self._book = book
        self._made = 0

    # The clock.

    def settle(self) -> None:
        """Let everything happen that is due, one hour after another, so that money is counted to the second."""
        with self.lock:
            now = max(self._now(), self.hour)
            while (at := self._next_event(now)) is not None:
                self._pass(at)
                self._happen()
            self._pass(now)
            for one in self.instances.values():
                if one.status == "running" and self._bodies.ended(one):
                    self._enter(one, Step(now, "exited", "exited"))

    def _next_event(self, now: float) -> float | None:
        events = [one.coming[0].at for one in self.instances.values() if one.coming]
        events += [one.ends_at for one in self.instances.values() if one.wanted]
        lasts = self.purse.lasts_s(self.instances.values())
        if lasts is not None and any(one.wanted for one in self.instances.values()):
            events.append(self.hour + lasts)
        due = [max(at, self.hour) for at in events if at <= now]
        return min(due, default=None)

    def _pass(self, at: float) -> None:
        self.purse.accrue(self.instances.values(), at - self.hour)
        self.hour = at

    def _happen(self) -> None:
        for one in list(self.instances.values()):
            while one.coming and one.coming[0].at <= self.hour and one.id in self.instances:
                self._enter(one, one.coming.pop(0))
            if one.id in self.instances and one.wanted and one.ends_at <= self.hour:
                self.evict(one)
        lasts = self.purse.lasts_s(self.instances.values())
        if lasts is not None and lasts < _NO_TIME_S:
            self.evict_all()

    def evict_all(self) -> None:
        """Stop whatever runs or will: credit is gone. 1.8: stopped, not destroyed; storage goes on."""
        for one in self.instances.values():
            if one.wanted:
                self.evict(one)

    def rent(self, ask: int, body: Mapping[str, Any]) -> Instance:
        """Make an instance of an ask, or refuse."""
        if fault := self._book.strike("offer_gone"):
            self.asks.take(ask)
            raise offer_gone(ask, fault.words.get("form", "410"))
        offer = self.asks.look_up(ask, self.hour)
        if self.purse.credit <= 0:
            raise no(400, "insufficient_credit", "Insufficient credit")
        order = checked(body, offer)
        if self._book.strike("unavailable"):
            if order.get("cancel_unavail"):
                raise offer_gone(ask)
            order["target_state"] = "stopped"
        return self._make(offer, order)

    def _make(self, offer: Offer, order: Mapping[str, Any]) -> Instance:
        price = order.get("price")
        self._made += 1
        number = 20_000_000 + 7 * self._made
        one = Instance(
            number,
            offer,
            order,
            key=secrets.token_hex(32),
            made_at=self.hour,
            ends_at=self.hour + offer["duration"],
            label=order.get("label"),
            gpu_dph=offer["dph_base"] if price is None else float(price),
            is_bid=price is not None,  # 1.4: without a price it is on demand, whatever the search was for
            since=self.hour,
        )
        self.instances[number] = one
        self.purse.accrue([one], 0.0)
        self.asks.take(offer["id"])
        too_low = one.is_bid and (self._book.strike("bid_too_low") or one.gpu_dph < offer["min_bid"])
        self._begin(one, stopped=bool(too_low) or order.get("target_state") == "stopped")
        if too_low:  # 1.4: there, stopped, and the error has its number; status and code are a guess [?]
            raise no(400, "bid_too_low", f"bid {price} is below {offer['min_bid']}", new_contract=number)
        return one

    def _begin(self, one: Instance, *, stopped: bool) -> None:
        if stopped:
            self.evict(one)
            return
        strikes = {name: self._book.strike(name, label=one.label) for name in BIRTHS}
        one.coming = life.fresh(self.hour, self.lengths)
        if strikes["stuck_loading"]:
            one.coming = one.coming[:-1]
        if fault := strikes["oci_error"]:
            one.coming = [replace(one.coming[0], message=fault.words.get("message", _OCI))]
        if strikes["exits_at_once"]:
            one.coming.append(Step(one.coming[-1].at + 1.0, "exited", "exited"))
        if fault := strikes["listed_late"]:
            one.listed_from = self.hour + float(fault.words.get("for_s", 30.0))
        one.hides_ports = strikes["no_ports"] is not None
        one.label = None if strikes["label_lost"] else one.label

    # Instances.

    def find(self, number: int) -> Instance:
        """Give one, or refuse."""
        try:
            return self.instances[number]
        except KeyError:
            raise no_such_instance(number) from None

    def stop(self, one: Instance) -> None:
        """Stop it as its owner."""
        one.intended = "stopped"
        if one.status == "stopped":
            self._plan(one, [])  # 1.6: what cancels a start that waits for its GPU
        else:
            self._walk(one, life.stop)

    def start(self, one: Instance) -> None:
        """Start it, sooner or later."""
        if self.purse.credit <= 0:
            raise no(400, "missing_billing", "Insufficient credit to start instance")
        if one.ends_at <= self.hour:
            raise no(400, "invalid_args", "contract has ended")
        fault = self._book.strike("start_queued", instance=one.id)
        wait = float(fault.words.get("for_s", 600.0)) if fault else 0.0
        if not one.starts:
            one.intended = "running"
            self._walk(one, life.again, wait)
        if fault:  # 1.6 [T]; that it comes as a 400 is a guess [?]
            raise no(400, "resources_unavailable", "Required resources are currently unavailable, state change queued")

    def reboot(self, one: Instance) -> None:
        """End its process and start it again."""
        if one.current != "running":
            raise no(400, "invalid_args", "instance is not running")
        self._walk(one, life.again)

    def destroy(self, one: Instance) -> None:
        """Let it go; it is gone at the next settling, or later where a fault says so (1.7: "resurrect")."""
        if self._book.strike("destroy_ignored", instance=one.id):
            return
        fault = self._book.strike("resurrection", instance=one.id)
        if one.doomed:
            return
        one.doomed = True
        delay = float(fault.words.get("for_s", 10.0)) if fault else self.lengths.vanishing_s
        gone = Step(self.hour + delay, GONE)
        one.coming = [*(step for step in one.coming if step.at < gone.at), gone]

    def evict(self, one: Instance) -> None:
        """Stop it without its owner's word: outbid, credit gone, contract ended; all three states say so (1.6)."""
        one.intended = one.current = "stopped"
        one.before_away = None
        self._plan(one, [])
        self._enter(one, Step(self.hour, "stopped"))

    def away(self, one: Instance, status: str, for_s: float | None) -> None:
        """Let its host be gone, for a while or until told."""
        if one.before_away is None:
            one.before_away, one.since = (one.status, one.coming), self.hour
        back = [] if for_s is None else [Step(self.hour + for_s, _BACK)]
        self._plan(one, back)
        one.status, one.message = status, "host is offline"
        self._bodies.pause(one, on=True)

    def back(self, one: Instance) -> None:
        """Let its host be there again; what was coming comes, so much later."""
        if one.before_away is not None:
            (one.status, coming), lasted = one.before_away, self.hour - one.since
            one.before_away = None
            self._plan(one, [replace(step, at=step.at + lasted) for step in coming if step.status != GONE])
            self._bodies.pause(one, on=False)

    def _walk(self, one: Instance, steps: Callable[[float, Lengths], list[Step]], wait_s: float = 0.0) -> None:
        """Let other states come; where the host is away, once it is back."""
        if one.before_away is None:
            self._plan(one, steps(self.hour + wait_s, self.lengths))
        else:
            one.before_away = (one.before_away[0], steps(one.since + wait_s, self.lengths))

    def _plan(self, one: Instance, steps: list[Step]) -> None:
        """Change what comes; what is destroyed already stays so."""
        gone = [step for step in one.coming if step.status == GONE]
        one.coming = [*(step for step in steps if not gone or step.at < gone[0].at), *gone]

    def _enter(self, one: Instance, step: Step) -> None:
        if step.status == GONE:
            self._remove(one)
        elif step.status == _BACK:
            self.back(one)
        else:
            one.status, one.message, one.since = step.status, step.message, self.hour
            if step.status == "running":
                one.current, one.running_since = "running", self.hour
                one.ports = mapped_ports(one.order, one.ports)
                self._bodies.start(one)
            elif step.status in {"stopped", "exited"}:
                one.running_since = None
                one.current = "stopped" if step.status == "stopped" else one.current
                self._bodies.kill(one)

    def _remove(self, one: Instance) -> None:
        self._bodies.remove(one)
        del self.instances[one.id]
        self.dead_keys.add(one.key)
        self.asks.take(one.offer["id"], self.hour + self.lengths.ask_returns_s)

    def close(self) -> None:
        """End every process and remove every folder."""
        with self.lock:
            for one in list(self.instances.values()):
                self._remove(one)
