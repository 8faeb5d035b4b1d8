"""One command's time at the wheel: take the lock and act, or attend to whoever holds it; heed Ctrl-C."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from filelock import Timeout

from controller.desk import Desk
from controller.engine import Engine
from controller.errors import LedgerError, StillBilling
from controller.ledger import Batch
from controller.ledger.rows import WishWord
from controller.lookout import Lookout
from controller.providers.base import Provider
from controller.signals import on_signals
from controller.standing import ask_agents, runs_here

_ATTEND_EVERY_S = 1.0


class Session:
    """Carry batches to their end, from whichever terminal."""

    def __init__(
        self,
        desk: Desk,
        open_provider: Callable[[str], Provider],
        *,
        also: Collection[str] = (),
        only: Collection[str] | None = None,
    ) -> None:
        self._also = also
        self._only = only
        self._seen: set[str] = set()
        self._desk = desk
        self._open_provider = open_provider
        self._signals = 0
        self._engine: Engine | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def interrupted(self) -> bool:
        """Say whether a person pressed Ctrl-C."""
        return self._signals > 0

    @property
    def others_at_work(self) -> bool:
        """Say whether another process acts on this state folder: its machines are its own to end."""
        return self._desk.state.is_locked()

    async def carry(self, batch_ids: Sequence[str]) -> None:
        """Return when these batches can go no further and nothing of them runs."""
        with self._heeding_signals(batch_ids):
            told = False
            while True:
                try:
                    with self._desk.state.lock():
                        await self._act(batch_ids)
                        return
                except Timeout:
                    if not told:
                        self._desk.observer.say("Another framehaul is at work; it takes these jobs too. Watching it.")
                    told = True
                    if await self._attend(batch_ids):
                        return

    async def _act(self, batch_ids: Sequence[str]) -> None:
        self._engine = Engine(
            self._desk, self._open_provider, seen=self._seen, also=self._also, only=self._only, asked=batch_ids
        )
        self._task = asyncio.create_task(self._engine.run())
        try:
            await self._task
        except asyncio.CancelledError:
            raise self._still_billing("Left before these were proven gone") from None
        except LedgerError as exc:
            raise self._still_billing(f"{exc} These may still run") from exc
        except Exception as exc:
            if self._alive():
                raise self._still_billing(f"{type(exc).__name__}: {exc} These still run") from exc
            raise
        finally:
            self._engine = None

    async def _attend(self, batch_ids: Sequence[str]) -> bool:
        """Watch the ledger while another process acts; True when our batches are over."""
        ledger, last = self._desk.ledger, None
        lookout = Lookout(self._desk.observer, ledger, batch_ids)
        while self._desk.state.is_locked():
            await self._look_on(lookout, batch_ids)
            last = self._tell_moves(last, batch_ids)
            over = ledger.left(batch_ids) == 0
            paused = all(_wish(self._desk, batch_id) is not WishWord.RUN for batch_id in batch_ids)
            if over or (paused and not self._desk.ledger.leases(alive=True)):
                return True
            await self._desk.clock.sleep(_ATTEND_EVERY_S)
        return False

    def _tell_moves(self, last: int | None, batch_ids: Sequence[str]) -> int:
        """Tell which jobs moved since the last look; at the first, where those are that are no longer waiting."""
        ledger = self._desk.ledger
        now, names = ledger.moved_since(last)
        moved = ledger.jobs_named(names) if last is not None else ledger.jobs_under_way()
        for job in moved:
            if job.batch_id in batch_ids:
                self._desk.observer.on_job(job)
        return now

    async def _look_on(self, lookout: Lookout, batch_ids: Sequence[str]) -> None:
        """Show how jobs and the whole stand, by the machines' own word where they give it."""
        jobs = [job for job in self._desk.ledger.jobs_under_way() if job.batch_id in batch_ids]
        told = await ask_agents(self._desk, self._open_provider, jobs)
        for job in jobs:
            if job.id in told:
                lookout.on_progress(job, told[job.id])
        lookout.look(self._desk.clock.now(), lambda name: runs_here(self._open_provider, name))

    @contextmanager
    def _heeding_signals(self, batch_ids: Sequence[str]) -> Iterator[None]:
        with on_signals(asyncio.get_running_loop(), lambda: self._on_signal(batch_ids)):
            yield

    def _on_signal(self, batch_ids: Sequence[str]) -> None:
        self._signals += 1
        if self._signals == 1:
            self._desk.observer.say(
                "Stopping: the running job is finished and brought home, then the machine goes. Again: stop now."
            )
            self._wish(WishWord.DRAIN, batch_ids)
        elif self._signals == 2:
            self._desk.observer.say("Stopping now: running work is dropped, the machine goes.")
            self._wish(WishWord.NOW, batch_ids)
        elif self._task is not None:
            self._task.cancel()

    def _wish(self, wish: WishWord, batch_ids: Sequence[str]) -> None:
        # Whoever acts also carries the batches of an earlier life; Ctrl-C means those too.
        acting = self._engine is not None
        targets = [batch.id for batch in self._desk.ledger.batches(unclosed=True)] if acting else batch_ids
        for batch_id in targets:
            self._desk.ledger.wish(wish, batch_id)
        if self._engine is not None:
            self._engine.nudge()

    def _alive(self) -> tuple[str, ...]:
        """Name what is not proven gone; by memory where the ledger itself is the trouble."""
        try:
            return tuple(lease.ref or lease.label for lease in self._desk.ledger.leases(alive=True))
        except LedgerError:
            return tuple(sorted(self._seen))

    def _still_billing(self, why: str) -> StillBilling:
        ids = self._alive()
        named = ", ".join(ids) or "none known"
        return StillBilling(f"{why}: {named}.", advice="Look: framehaul ps. End them: framehaul stop.", unpaid=ids)


def batches_at_hand(desk: Desk) -> list[Batch]:
    """List the batches that an engine would carry on with."""
    return [batch for batch in desk.ledger.batches(unclosed=True) if batch.wish is WishWord.RUN]


def _wish(desk: Desk, batch_id: str) -> WishWord:
    batch = desk.ledger.batch(batch_id)
    return batch.wish if batch else WishWord.RUN
