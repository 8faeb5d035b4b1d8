"""The family of errors that both sides share.

FramehaulError                 answers: can a retry help? what should the person do?
├── InputError                 the person's words or files cannot be used
│   ├── BadUri                 an address that names no store, or no place in it
│   └── BadParams              a pipeline's parameters, judged before anything is rented
├── ContractError              two sides disagree about the protocol
│   ├── IllegalMove            a state table forbids this step
│   └── DigestMismatch         bytes are not the bytes that were promised
├── StoreError                 bytes could not be listed, read or written
│   ├── NotFound
│   │   └── NoSuchBucket       not an object is missing, but the whole bucket
│   ├── AccessDenied
│   │   └── BadAccount         the key, its secret or the region is wrong: nothing works there until it is mended
│   ├── AlreadyExists
│   ├── NotSupported           this store has no such verb (an HTTP server cannot be listed)
│   ├── StoreFull
│   └── StoreUnavailable       (retry) the store is down, slow or overloaded
├── MediaError                 a file cannot be decoded or encoded
│   ├── NotAVideo
│   ├── TruncatedMedia
│   └── UnsupportedMedia
├── ModelError                 a weight file is not a network that we can run
└── Stopped                    somebody asked for it; nothing is wrong
"""

from __future__ import annotations


class FramehaulError(Exception):
    """Carry a sentence for a person, and the fate of the work.

    `advice` says what to do next; `unpaid` names whatever may still cost money.
    """

    retryable = False

    def __init__(self, message: str, *, advice: str = "", unpaid: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.unpaid = unpaid

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".strip()


class InputError(FramehaulError):
    """Raised when what a person gave cannot be used."""


class BadUri(InputError):
    """Raised when an address names no store, or no place in it."""


class BadParams(InputError):
    """Raised when a pipeline refuses its parameters or its input."""


class ContractError(FramehaulError):
    """Raised when controller and agent disagree about the protocol."""


class IllegalMove(ContractError):
    """Raised when a state table forbids a step."""


class DigestMismatch(ContractError):
    """Raised when bytes are not the bytes that were promised."""


class StoreError(FramehaulError):
    """Raised when a store cannot do what it was asked."""


class NotFound(StoreError):
    """Raised when nothing lies at the address."""


class NoSuchBucket(NotFound):
    """Raised when there is no bucket of this name; an empty one is no error."""


class AccessDenied(StoreError):
    """Raised when the store knows us and refuses."""


class BadAccount(AccessDenied):
    """Raised when a store does not know the key, or its secret, region or endpoint is another one."""


class AlreadyExists(StoreError):
    """Raised when a write would replace something."""


class NotSupported(StoreError):
    """Raised when this kind of store has no such verb."""


class StoreFull(StoreError):
    """Raised when there is no room left for the bytes."""


class StoreUnavailable(StoreError):
    """Raised when the store is down, slow or overloaded; later may work."""

    retryable = True


class MediaError(FramehaulError):
    """Raised when a file cannot be decoded or encoded."""


class NotAVideo(MediaError):
    """Raised when there is no video stream to work on."""


class TruncatedMedia(MediaError):
    """Raised when a file ends before its own header says it should."""


class UnsupportedMedia(MediaError):
    """Raised when a file is sound but outside of what this version handles."""


class ModelError(FramehaulError):
    """Raised when a weight file is not a network that we can run."""


class Stopped(FramehaulError):
    """Raised inside work that was asked to stop."""
