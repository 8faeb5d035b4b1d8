"""Keep an attempt's grants alive: given once, written anew before they run out, and when a store takes them no more."""

from __future__ import annotations

import asyncio

from controller.channel import AgentChannel
from controller.delivery import Delivery
from controller.desk import Desk
from controller.errors import AgentError
from framehaul.contract.states import ATTEMPT_MOVES, AttemptReason, AttemptState, is_final
from framehaul.contract.status import JobView
from framehaul.errors import InputError

_RENEW_PAUSE_S = 5.0
# Grants that ran out this long after the last ones did so by their age, not because they were never taken.
_NEWS_S = 3600.0
_MAX_RENEWALS = 3
_PATIENT_PAUSE_S = 60.0
_OVERTAKEN = frozenset({"job-is-final", "stale-grants"})


class Permits:
    """The grants of one attempt, as this controller knows them."""

    def __init__(self, desk: Desk, job_id: str) -> None:
        self._desk = desk
        self._id = job_id
        self._delivery: Delivery | None = None
        # When they are to be written anew: never known of those that an earlier controller gave.
        self._renew_at: float | None = None
        self._renewed_at = 0.0
        self._in_vain = 0
        # Whether the agent holds grants of any generation: then a result may come of them. None before it was asked.
        self.granted: bool | None = None

    @property
    def delivery(self) -> Delivery:
        """Give the way that the results take."""
        assert self._delivery is not None
        return self._delivery

    def delivered(self, view: JobView) -> bool:
        """Say whether the agent has done its part: its results are in the store, or wait to be fetched."""
        done = {AttemptState.DELIVERED} if self.delivery.by_agent else {AttemptState.DELIVERING, AttemptState.DELIVERED}
        return view.status.state in done and view.receipt is not None

    def may_help(self, view: JobView) -> bool:
        """Say whether the agent waits for fresh grants that were not tried yet."""
        return view.status.reason is AttemptReason.GRANTS_EXPIRED and self._in_vain == 0

    async def grant(self, channel: AgentChannel, delivery: Delivery, view: JobView) -> None:
        """Give the first grants; or the next ones, where those that the agent has are an earlier controller's."""
        self._delivery = delivery
        self.granted = bool(self.granted) or view.grants_generation > 0
        unknown = self._renew_at is None
        if (view.grants_generation == 0 or unknown) and not is_final(ATTEMPT_MOVES, view.status.state):
            await self._put(channel, view)

    async def renew(self, channel: AgentChannel, view: JobView) -> None:
        """Grant anew what the store no longer takes, or will not for long.

        InputError where nothing is computed yet and fresh grants do not help: then the source itself refuses. What is
        computed is kept on its machine, however often the store refuses it.
        """
        if view.status.reason is AttemptReason.GRANTS_EXPIRED:
            await self._pause(channel, view)
            await self._put(channel, view)
        elif self._renew_at is not None and self._desk.clock.now() >= self._renew_at:
            await self._put(channel, view)

    async def _pause(self, channel: AgentChannel, view: JobView) -> None:
        """Count a refusal of grants that are fresh, and let some time pass."""
        now = self._desk.clock.now()
        self._in_vain = self._in_vain + 1 if now - self._renewed_at < _NEWS_S else 0
        pause_s = _RENEW_PAUSE_S
        if self._in_vain > _MAX_RENEWALS:
            if view.status.state is not AttemptState.DELIVERING:
                await channel.remove_job(self._id, discard=True)
                raise InputError(f"The source refuses to be read: {view.status.message}".strip())
            if self._in_vain == _MAX_RENEWALS + 1:
                name = self._desk.ledger.job(self._id).name
                why = f"The store refuses fresh permissions to write: {view.status.message}".strip()
                self._desk.observer.say(f"{name}: {why} The result is kept on its machine; trying again.")
            pause_s = _PATIENT_PAUSE_S
        await self._desk.clock.sleep(pause_s)

    async def _put(self, channel: AgentChannel, view: JobView) -> None:
        expired = view.status.reason is AttemptReason.GRANTS_EXPIRED
        granted = await asyncio.to_thread(self.delivery.grants, view.grants_generation + 1, view.receipt)
        if view.grants_generation == 0 or granted.runs_out or expired:
            try:
                await channel.put_grants(granted.grants)
            except AgentError as exc:
                if exc.problem.name not in _OVERTAKEN:
                    raise
                return  # the attempt went on meanwhile: the next view tells how far
            self.granted = True
        self._renewed_at, self._renew_at = self._desk.clock.now(), granted.renew_at
