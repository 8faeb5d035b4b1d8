"""The outermost layer: nobody comes in without the token, and nothing goes out that is not a problem or an answer."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.errors import Refusal
from agent.http.problems import answer, unforeseen
from framehaul.contract.lease_secret import LeaseSecret
from framehaul.contract.routes import HEALTH

_SCHEME = b"bearer "


class Gate:
    """ASGI middleware. Without a secret (loopback only) everyone may come in."""

    def __init__(self, app: ASGIApp, secret: LeaseSecret | None) -> None:
        self._app = app
        self._secret = secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._may_enter(scope):
            refusal = Refusal(
                401, "bad-token", "This address wants the lease's token.", headers={"WWW-Authenticate": "Bearer"}
            )
            await answer(refusal)(scope, receive, send)
            return
        started = whole = False

        async def watched_send(message: Message) -> None:
            nonlocal started, whole
            started = True
            whole = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except Exception as exc:
            if whole:  # starlette raises again what has been logged and answered
                return
            reply = answer(unforeseen(exc))
            if started:
                raise
            await reply(scope, receive, send)

    def _may_enter(self, scope: Scope) -> bool:
        if self._secret is None or (scope["method"] == "GET" and scope["path"] == HEALTH):
            return True
        told = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(told) != 1 or not told[0].lower().startswith(_SCHEME):
            return False
        return self._secret.accepts(told[0][len(_SCHEME) :].decode("latin-1"))
