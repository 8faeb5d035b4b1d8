"""The whole emulator in threads of this process, and what a test orders it to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.emulators.vast.desk import Asked, Desk
from tests.emulators.vast.faults import EVENTS, Book, Fault, check
from tests.emulators.vast.life import Instance, Lengths
from tests.emulators.vast.market import Market
from tests.emulators.vast.offers import Offer, made_up
from tests.emulators.vast.pacing import Pacer
from tests.emulators.vast.processes import Processes
from tests.emulators.vast.server import Server, Ticker

_SEED = 1


class Vast:
    """vast.ai on a port of loopback; closing it ends every instance."""

    def __init__(
        self,
        root: Path,
        *,
        port: int = 0,
        now: Callable[[], float] = time.time,
        offers: Iterable[Offer] | None = None,
        keys: Collection[str] | None = None,
        image: Mapping[str, str] | None = None,
        lengths: Lengths | None = None,
        pacing: bool = True,
    ) -> None:
        self.pacer = Pacer(on=pacing)
        self._book = Book()
        self.processes = Processes(root, image)
        asks = made_up(_SEED) if offers is None else offers
        self.market = Market(asks, self.processes, now, self._book, lengths or Lengths())
        self._desk = Desk(self.market, self._book, self.pacer, self.processes, keys)
        self._server = Server(port, self._desk, self)
        self._ticker = Ticker(self.market.settle)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def fault(self, name: str, **words: Any) -> Fault:
        """Break something from now on, or let something happen now; faults.py says what there is."""
        check(name, words)
        if name in EVENTS:
            with self.market.lock:
                self.market.settle()
                self._happen(name, words)
        made = self._book.add(name, words)
        if name in EVENTS:
            self._book.strike(name, **words)
        return made

    def mend(self, *names: str) -> None:
        """Take away the faults of these names, or all; what hangs goes on."""
        self._book.mend(*names)

    def log(self, **wanted: Any) -> list[dict[str, Any]]:
        """Give the requests so far, oldest first, that have these values."""
        return [entry for entry in list(self._desk.log) if all(entry[name] == wanted[name] for name in wanted)]

    def bill(self) -> dict[str, Any]:
        """Give credit, total, and each instance's gpu, disk, up and down, in dollars."""
        with self.market.lock:
            self.market.settle()
            return self.market.purse.told()

    def instances(self) -> dict[int, dict[str, Any]]:
        """Give what lives now: label, status, key, folder, pid, ports."""
        with self.market.lock:
            self.market.settle()
            return {number: self._told(one) for number, one in self.market.instances.items()}

    def traffic(self, instance: int, *, up: int = 0, down: int = 0) -> None:
        """Move bytes of an instance, on paper."""
        with self.market.lock:
            self.market.settle()
            self.market.purse.move(self.market.find(instance), up, down)

    def credit(self, dollars: float) -> None:
        """Set what the account has left."""
        with self.market.lock:
            self.market.settle()
            self.market.purse.credit = dollars

    def close(self) -> None:
        """Free the port and end every instance."""
        self._server.end()
        self._ticker.end()
        self.market.close()

    def __enter__(self) -> Vast:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def obey(self, asked: Asked) -> dict[str, Any]:
        """Do what the control route is told."""
        match asked.method, asked.path.removeprefix("/_control"):
            case "GET", "/log":
                return {"requests": self.log()}
            case "GET", "/bill":
                return self.bill()
            case "GET", "/instances":
                return {"instances": {str(number): told for number, told in self.instances().items()}}
            case "GET", "/struck":
                fault = self._find(int(asked.query["fault"]))
                return {"struck": fault.struck.wait(float(asked.query.get("timeout_s", 60)))}
            case "POST", "":
                return self._order(asked.body)
        raise ValueError(f"no such control: {asked.method} {asked.path}")

    def _order(self, words: dict[str, Any]) -> dict[str, Any]:
        match words:
            case {"fault": None, **rest} if not rest:
                self.mend()
            case {"fault": str(name), **rest}:
                return {"fault": self.fault(name, **rest).number}
            case {"mend": str(name), **rest} if not rest:
                self.mend(name)
            case {"release": int(number), **rest} if not rest:
                self._find(number).release()
            case {"traffic": int(number), **rest} if set(rest) <= {"up", "down"}:
                self.traffic(number, **rest)
            case {"credit": int() | float() as dollars, **rest} if not rest:
                self.credit(float(dollars))
            case {"pacing": bool(on), **rest} if not rest:
                self.pacer.on = on
            case {"forget": True, **rest} if not rest:
                self._desk.log.clear()
            case _:
                raise ValueError(f"no such order: {sorted(words)}")
        return {}

    def _find(self, number: int) -> Fault:
        fault = self._book.find(number)
        if fault is None:
            raise ValueError(f"no such fault: {number}")
        return fault

    def _happen(self, name: str, words: Mapping[str, Any]) -> None:
        """Let an event happen to the instance that is named, or to all."""
        market = self.market
        if name == "credit_gone":
            market.purse.credit = min(market.purse.credit, 0.0)
            market.evict_all()
            return
        if words.get("instance", 0) not in {0, *market.instances}:
            raise ValueError(f"no such instance: {words['instance']}")
        for one in [market.find(words["instance"])] if "instance" in words else list(market.instances.values()):
            match name:
                case "outbid":
                    market.evict(one)
                case "contract_ended":
                    one.ends_at = market.hour
                    market.evict(one)
                case "price_increase":
                    one.gpu_dph *= float(words.get("factor", 1.5))
                case "offline":
                    market.away(one, words.get("status", "offline"), words.get("for_s"))
                case "online":
                    market.back(one)

    def _told(self, one: Instance) -> dict[str, Any]:
        return {
            **{
                "label": one.label,
                "status": one.status,
                "intended": one.intended,
                "machine_id": one.offer["machine_id"],
            },
            **{"ask": one.offer["id"], "key": one.key, "folder": str(self.processes.folder(one.id))},
            **{"pid": self.processes.pid(one.id), "ports": one.ports},
        }
