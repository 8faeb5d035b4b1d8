"""How tests ask servers on loopback: directly."""

from __future__ import annotations

import httpx


def loopback() -> httpx.HTTPTransport:
    """Give a transport that asks no proxy of the environment, and reads no certificates, which is slow."""
    return httpx.HTTPTransport(verify=False)
