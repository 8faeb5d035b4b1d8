"""The lookout: which batches the one line about the whole is about."""

from __future__ import annotations

import pytest

from controller.desk import Desk
from controller.ledger.rows import WishWord
from controller.lookout import Lookout
from tests.controller.desks import HOUR, a_batch, a_job_row, heard
from tests.controller.endings import published


def counted(desk: Desk, *asked: str) -> tuple[int, int]:
    """Look once, and say how many of how many are done."""
    Lookout(desk.observer, desk.ledger, asked).look(HOUR, lambda name: False)
    overview = heard(desk).overviews[-1]
    return overview.done, overview.total


@pytest.mark.parametrize("wish", [WishWord.NOW, WishWord.DRAIN, WishWord.RUN])
def test_what_was_asked_for_is_counted_whatever_it_wishes(desk: Desk, wish: WishWord) -> None:
    """`stop --now` on a batch, and whoever watches one that is being stopped: two of three are done."""
    desk.ledger.add_batch(a_batch(wish=wish), [published(1), published(2), a_job_row(number=3)])

    assert counted(desk, "b-1") == (2, 3)


def test_what_was_stopped_long_ago_is_not_counted(desk: Desk) -> None:
    """A run of today carries its own batches only."""
    desk.ledger.add_batch(a_batch(wish=WishWord.DRAIN), [a_job_row()])
    desk.ledger.add_batch(a_batch("b-2", created_at=HOUR + 1), [published(1, batch_id="b-2", id="b-2-00001")])

    assert counted(desk, "b-2") == (1, 1)
