"""A clock that is wrong by an hour does no harm: everything is signed by the store's."""

from __future__ import annotations

import pytest

from framehaul.contract.grants import HttpGet, MultipartPut
from framehaul.errors import BadAccount
from framehaul.storage.base import Upload
from framehaul.storage.s3_hours import StoreHours
from tests.storage.s3_scene import Scene
from tests.storage.skipping_clock import SkippingClock

HOUR = 3600.0

wrong = pytest.mark.parametrize("offset_s", [HOUR, -HOUR, 400 * 24 * HOUR])


@wrong
def test_requests_are_signed_by_the_store_s_clock(scene: Scene, offset_s: float) -> None:
    """The first is refused and teaches the hour; its second try and all others are right at once."""
    scene.proxy.offset_s = offset_s

    entry = scene.store.put(scene.at("a.mp4"), [b"clip"], replace=True)

    assert scene.read(entry.uri) == b"clip"
    assert scene.proxy.count(status=403) == 1
    assert scene.clock.waits == []


@wrong
def test_addresses_are_signed_by_the_store_s_clock(scene: Scene, offset_s: float) -> None:
    """Where nothing is known of it yet it is asked for, once; the end is told in our own clock."""
    uri = scene.laid("a.mp4", b"clip")
    scene.proxy.offset_s = offset_s
    fresh = scene.opened()

    grant = fresh.grant(uri, "read", expires_at=scene.clock.now() + 600)
    upload = fresh.sign_upload(Upload(uri, "x"), parts=2, expires_at=scene.clock.now() + 600)

    assert isinstance(grant, HttpGet)
    assert scene.agent().get(grant.url.get_secret_value()).content == b"clip"
    assert grant.expires_at == upload.expires_at == scene.clock.now() + 600
    assert len(scene.asked()) == 3  # a refusal that teaches, its second try, and the agent's GET


def test_an_address_ends_when_it_says(scene: Scene) -> None:
    """By the store's clock, however wrong ours is."""
    uri = scene.laid("a.mp4", b"clip")
    scene.proxy.offset_s = HOUR
    grant = scene.opened().grant(uri, "read", expires_at=scene.clock.now() + 600)
    assert isinstance(grant, HttpGet)
    url, agent = grant.url.get_secret_value(), scene.agent()

    scene.clock.advance(590)
    assert agent.get(url).status_code == 200
    scene.clock.advance(20)
    assert agent.get(url).status_code == 403


def test_a_clock_that_is_set_meanwhile_is_noticed(scene: Scene) -> None:
    """A laptop that corrects itself after hours of work goes on without a wait."""
    uri = scene.laid("a.mp4", b"clip")

    for offset_s in (HOUR, 0.0, -HOUR):
        scene.proxy.offset_s = offset_s
        assert scene.read(uri) == b"clip"

    assert scene.clock.waits == []


def test_a_store_that_is_down_keeps_nobody_from_signing(scene: Scene) -> None:
    """Then our own hour must do."""
    scene.proxy.down()

    grant = scene.store.grant(scene.at("a.mp4"), "read", expires_at=scene.clock.now() + 60)

    assert isinstance(grant, HttpGet)
    assert scene.clock.waits == []


def test_a_wrong_secret_is_not_taken_for_a_wrong_clock(scene: Scene) -> None:
    """Told once the hour is right."""
    scene.proxy.offset_s = HOUR

    with pytest.raises(BadAccount, match="secret"):
        list(scene.opened(secret="wrong").list(scene.base))


def test_no_signature_is_dated_in_the_future() -> None:
    """`Date` comes in whole seconds and late; of what replies say, the earliest counts."""
    clock = SkippingClock()
    hours = StoreHours(clock)

    hours.learn("Fri, 15 Jan 2027 09:00:00 GMT")  # an hour after 1,800,000,000
    clock.advance(0.9)
    hours.learn("Fri, 15 Jan 2027 09:00:00 GMT")
    clock.advance(0.2)
    hours.learn("Fri, 15 Jan 2027 09:00:01 GMT")
    hours.learn("no date at all")
    hours.learn("Mon, 01 Jan 99999999999999999999 00:00:00 GMT")

    assert hours.now() == pytest.approx(1_800_003_600.0 + 0.2)
    assert hours.jumps == 1


def test_a_grant_to_write_lives_no_longer_than_a_signature_may(scene: Scene) -> None:
    """Seven days, and the grant says so."""
    grant = scene.store.grant(scene.at("a.mp4"), "write", expires_at=scene.clock.now() + 30 * 24 * HOUR)

    assert isinstance(grant, MultipartPut)
    assert grant.expires_at == pytest.approx(scene.clock.now() + 7 * 24 * HOUR, abs=1)
