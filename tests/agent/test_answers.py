"""What a store's answer to an upload means: by its code first, and by no word that merely stands in a key."""

from __future__ import annotations

import pytest

from agent.attempts.answers import Answer, Hiccup, PartsRefused, Refused, UploadGone, judge


def _error(code: str, message: str = "", key: str = "out/expired_quota_cap-exceeded.mp4") -> str:
    return (
        f"<Error><Code>{code}</Code><Message>{message}</Message><Key>{key}</Key><Resource>/b/{key}</Resource></Error>"
    )


@pytest.mark.parametrize(
    ("status", "code", "message", "kind", "sentence"),
    [
        (404, "NoSuchUpload", "The upload does not exist", UploadGone, "knows no such upload"),
        (400, "InvalidPart", "One or more parts could not be found", PartsRefused, "misses parts"),
        (403, "AccessDenied", "Access Denied", Refused, "The store refuses the upload"),
        (403, "AccessDenied", "Request has expired", Refused, "The grants have expired"),
        (400, "ExpiredToken", "", Refused, "The grants have expired"),
        (403, "RequestTimeTooSkewed", "", Refused, "do not fit the store's clock"),
        (403, "AccessDenied", "Cannot upload files, storage cap exceeded.", Hiccup, "the store is full"),
        (403, "QuotaExceeded", "", Hiccup, "the store is full"),
        (400, "RequestTimeout", "", Hiccup, "answered HTTP 400"),
        (200, "InternalError", "", Hiccup, "answered HTTP 200"),
    ],
)
def test_answers_are_told_apart(status: int, code: str, message: str, kind: type[Exception], sentence: str) -> None:
    """Each of these echoes a key with the words of all others in it, which says nothing."""
    with pytest.raises(kind, match=sentence) as told:
        judge(Answer(status, _error(code, message)))

    assert type(told.value) is kind
