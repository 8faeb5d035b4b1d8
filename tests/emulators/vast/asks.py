"""Which asks can be rented now: one vanishes when it is rented, and comes back some time after the destroy (1.3)."""

from __future__ import annotations

from collections.abc import Iterable

from tests.emulators.vast.offers import Offer
from tests.emulators.vast.words import offer_gone


class Asks:
    """All asks by id, and who is away until when."""

    def __init__(self, offers: Iterable[Offer]) -> None:
        self.all = {int(offer["id"]): offer for offer in offers}
        self._taken: dict[int, float | None] = {}  # until when; None: while it is rented

    def free(self, hour: float) -> list[Offer]:
        """List those that are not rented, and whose machine still has so many GPUs."""
        return [offer for offer in self.all.values() if self._is_free(offer, hour)]

    def look_up(self, ask: int, hour: float) -> Offer:
        """Give one that can be rented, or refuse as vast does: unknown ones otherwise than rented ones (1.4)."""
        if ask not in self.all:
            raise offer_gone(ask, "404")
        if not self._is_free(self.all[ask], hour):
            raise offer_gone(ask)
        return self.all[ask]

    def take(self, ask: int, until: float | None = None) -> None:
        """Let it be away; without an hour, until told otherwise."""
        self._taken[ask] = until

    def _is_free(self, offer: Offer, hour: float) -> bool:
        held = [self.all[ask] for ask, until in self._taken.items() if until is None or until > hour]
        used = sum(other["num_gpus"] for other in held if other["machine_id"] == offer["machine_id"])
        whole = round(offer["num_gpus"] / offer["gpu_frac"])
        return offer not in held and used + int(offer["num_gpus"]) <= whole
