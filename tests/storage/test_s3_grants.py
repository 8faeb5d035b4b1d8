"""Presigned grants do what they say for whoever holds them, and nothing more."""

from __future__ import annotations

import pytest

from framehaul.contract.grants import FileOut, HttpGet, MultipartPut
from framehaul.contract.uris import Uri
from framehaul.errors import NotSupported
from framehaul.storage.base import Upload, takes_uploads
from framehaul.storage.s3_grants import _with_dots_kept
from tests.rclone import SECRET
from tests.storage.s3_scene import Scene

MIB = 1 << 20
ODD = ("with space+plus.mp4", "what?#&=.mp4", "Кошка's 100%.mp4", "%41.mp4")


def _granted(scene: Scene, uri: Uri) -> MultipartPut:
    grant = scene.store.grant(uri, "write", expires_at=scene.clock.now() + 600)
    assert isinstance(grant, MultipartPut)
    return grant


def _complete(parts: list[str]) -> str:
    inner = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in enumerate(parts, 1))
    return f"<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>"


@pytest.mark.parametrize("name", ODD)
def test_an_agent_writes_by_its_grant_alone(scene: Scene, name: str) -> None:
    """Two parts, complete, read back by range; then the upload is closed, and the grant worth nothing."""
    uri, agent = scene.at(name), scene.agent()
    grant = _granted(scene, uri)
    parts = [b"a" * 5 * MIB, b"b" * 3]

    etags = [
        agent.put(url.get_secret_value(), content=part).raise_for_status().headers["etag"]
        for url, part in zip(grant.part_urls, parts, strict=False)
    ]
    assert scene.store.is_open(Upload(uri, grant.upload_id))
    agent.post(grant.complete_url.get_secret_value(), content=_complete(etags)).raise_for_status()
    back = agent.get(grant.read_back_url.get_secret_value(), headers={"Range": "bytes=5242879-5242881"})

    assert back.content == b"abb"
    assert scene.store.stat(uri).size == 5 * MIB + 3
    assert not scene.store.is_open(Upload(uri, grant.upload_id))
    assert agent.put(grant.part_urls[0].get_secret_value(), content=b"late").is_error


@pytest.mark.parametrize("by_agent", [True, False])
def test_an_aborted_upload_takes_no_part(scene: Scene, by_agent: bool) -> None:
    """Whether the agent ended it by its grant or the controller by its id; ending it twice is ending it once."""
    uri, agent = scene.at("a.mp4"), scene.agent()
    grant = _granted(scene, uri)

    if by_agent:
        agent.delete(grant.abort_url.get_secret_value()).raise_for_status()
    scene.store.abort(grant)

    assert agent.put(grant.part_urls[0].get_secret_value(), content=b"late").is_error
    assert not scene.store.is_open(Upload(uri, grant.upload_id))
    assert list(scene.store.uploads(scene.base)) == []


@pytest.mark.parametrize("name", ODD)
def test_an_agent_reads_odd_names(scene: Scene, name: str) -> None:
    """The address means the same to another HTTP client."""
    grant = scene.store.grant(scene.laid(name, name.encode()), "read", expires_at=scene.clock.now() + 60)

    assert isinstance(grant, HttpGet)
    assert scene.agent().get(grant.url.get_secret_value()).text == name


def test_a_grant_is_for_one_object(scene: Scene) -> None:
    """Its signature fits no other key, and no other verb."""
    one, other = scene.laid("one.mp4", b"1"), scene.laid("two.mp4", b"2")
    grant = scene.store.grant(one, "read", expires_at=scene.clock.now() + 60)
    assert isinstance(grant, HttpGet)
    url, agent = grant.url.get_secret_value(), scene.agent()

    assert agent.get(url.replace("one.mp4", "two.mp4")).status_code == 403
    assert agent.delete(url).status_code == 403
    assert scene.read(other) == b"2"


def test_signing_again_asks_nobody_and_goes_on_with_the_same_upload(scene: Scene) -> None:
    """A later generation has as many parts as it is told, and the shape that agents know."""
    uri = scene.at("a.mp4")
    upload = Upload(uri, scene.store.begin_upload(uri))
    scene.proxy.forget()

    grant = scene.store.sign_upload(upload, parts=3, expires_at=scene.clock.now() + 60)

    assert scene.asked() == []
    assert takes_uploads(scene.store)
    assert (grant.uri, grant.upload_id, len(grant.part_urls)) == (str(uri), upload.upload_id, 3)
    assert (grant.first_part_bytes, grant.growth) == (16 * MIB, 1.05)


def test_nothing_secret_is_shown(scene: Scene) -> None:
    """Neither key nor signature, in the grant's text or the store's."""
    grant = _granted(scene, scene.at("a.mp4"))

    assert "Signature" not in repr(grant)
    assert SECRET not in "".join(url.get_secret_value() for url in grant.part_urls)
    assert SECRET not in repr(vars(scene.store))


def test_what_was_not_granted_here_is_not_taken_back_here(scene: Scene) -> None:
    """A grant of another kind is a mistake."""
    with pytest.raises(NotSupported, match="file-out"):
        scene.store.abort(FileOut(path="/nowhere"))


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/clips/a/../b.mp4", "/clips/a/%2E%2E/b.mp4"),
        ("/clips/./b..mp4", "/clips/%2E/b..mp4"),
        ("/clips/a/..", "/clips/a/%2E%2E"),
        ("/clips/.hidden/b.mp4", "/clips/.hidden/b.mp4"),
    ],
)
def test_dots_between_slashes_lead_nowhere_else(path: str, kept: str) -> None:
    """An HTTP client would walk up the path; quoted they are a part of the key, which is what was signed."""
    assert _with_dots_kept(f"https://s3.example.org{path}?X=a%2F..%2Fb") == f"https://s3.example.org{kept}?X=a%2F..%2Fb"
