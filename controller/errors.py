"""What can go wrong on the laptop, and the exit code that tells a shell about it.

FramehaulError
└── ControllerError
    ├── ConfigError            config.yaml or an option cannot be used
    ├── NothingFits            no offer fits
    ├── ProviderError          the cloud refused, or its answer is odd
    │   └── ProviderUnavailable   (retry) it does not answer
    ├── AgentError             an agent answered with a problem
    │   └── AgentUnreachable      (retry) it does not answer
    ├── LedgerError            the ledger cannot be read or written
    ├── ProofFailed            what lies in the store is not what the receipt promises
    └── StillBilling           something could not be proven gone; `unpaid` names it
"""

from __future__ import annotations

from enum import IntEnum

from framehaul.contract.problem import Problem
from framehaul.errors import FramehaulError


class ExitCode(IntEnum):
    """What the shell learns. When several apply, the gravest wins: 5 > 130 > 4 > 3 > 1."""

    DONE = 0
    SOME_FAILED = 1
    USAGE = 2
    NO_OFFER = 3
    BUDGET = 4
    STILL_BILLING = 5
    INTERRUPTED = 130


_GRAVEST_FIRST = (
    ExitCode.STILL_BILLING,
    ExitCode.INTERRUPTED,
    ExitCode.BUDGET,
    ExitCode.NO_OFFER,
    ExitCode.SOME_FAILED,
    ExitCode.DONE,
)


def gravest(codes: list[ExitCode]) -> ExitCode:
    """Choose the one code that a batch ends with."""
    return next((code for code in _GRAVEST_FIRST if code in codes), ExitCode.DONE)


class ControllerError(FramehaulError):
    """Raised for trouble on the laptop's side."""


class ConfigError(ControllerError):
    """Raised when config.yaml or an option cannot be used."""


class NothingFits(ControllerError):
    """Raised when no offer fits."""


class ProviderError(ControllerError):
    """Raised when a cloud refuses, or answers oddly."""


class ProviderUnavailable(ProviderError):
    """Raised when a cloud does not answer; later may work."""

    retryable = True


class AgentError(ControllerError):
    """Raised when an agent answers with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.title} {problem.detail}".strip(), advice=problem.advice)
        self.problem = problem
        self.retryable = problem.retryable


class AgentUnreachable(ControllerError):
    """Raised when an agent does not answer; later may work."""

    retryable = True


class LedgerError(ControllerError):
    """Raised when the ledger cannot be read or written: damaged, locked by others, or its disk is full."""


class ProofFailed(ControllerError):
    """Raised when what lies in the store is not what the receipt promises."""


class StillBilling(ControllerError):
    """Raised when something could not be proven gone."""
