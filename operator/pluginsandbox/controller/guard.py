"""Who may read the operator's own endpoints: whom the API server knows, and lets read that path.

As kube-rbac-proxy and controller-runtime have it: the bearer's token goes into a TokenReview, and
who it names into a SubjectAccessReview of `get` on the path, a non-resource URL.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import structlog
from aiohttp import web

from pluginsandbox.controller import kinds
from pluginsandbox.controller.cluster import Cluster
from pluginsandbox.controller.errors import ControllerError

log = structlog.get_logger()

BELIEVED_SECONDS = 10.0
"""A right that is taken away holds for so long; a scraper costs two reviews as often."""
REMEMBERED = 256
MAX_TOKEN = 16 << 10
"""Characters; a service account's token has about a thousand."""
_BEARER = "bearer "
_UNKNOWN, _FORBIDDEN, _ALLOWED = 401, 403, 200


class Guard:
    """Lets requests pass.

    Args:
        cluster: Whose API server is asked; without a gate, as whoever stands by is scraped, too.
        clock: Monotonic seconds.

    """

    def __init__(self, cluster: Cluster, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._clock = clock
        self._answers: OrderedDict[tuple[bytes, str], tuple[float, int]] = OrderedDict()

    async def refusal(self, request: web.Request) -> web.Response | None:
        """Return why a request may not be answered, or None if it may."""
        token = _token(request)
        try:
            code = await self._known(token, request.path) if token else _UNKNOWN
        except ControllerError as error:
            log.warning("cannot find out who asks", path=request.path, error=str(error))
            return web.Response(status=503, text="the API server cannot be asked who you are\n")
        if code == _UNKNOWN:
            text = "send a token that this cluster knows: Authorization: Bearer ...\n"
            return web.Response(status=code, text=text, headers={"WWW-Authenticate": "Bearer"})
        if code == _FORBIDDEN:
            text = f"you may not get {request.path}: bind yourself to the ...-metrics-reader role\n"
            return web.Response(status=code, text=text)
        return None

    async def _known(self, token: str, path: str) -> int:
        """Return the answer of a moment ago, or ask."""
        at = hashlib.sha256(token.encode()).digest(), path
        asked_at, code = self._answers.get(at, (float("-inf"), 0))
        if self._clock() - asked_at < BELIEVED_SECONDS:
            return code
        code = await self._ask(token, path)
        self._answers[at] = self._clock(), code
        self._answers.move_to_end(at)
        while len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)
        return code

    async def _ask(self, token: str, path: str) -> int:
        """Return an HTTP status.

        Raises:
            ControllerError: The API server could not be asked.

        """
        told = await self._review(kinds.TOKEN_REVIEW, {"token": token})
        if not told.get("authenticated"):
            return _UNKNOWN
        user = told.get("user") or {}
        who = {name: user[key] for name, key in _WHO.items() if user.get(key)}
        access = {"nonResourceAttributes": {"path": path, "verb": "get"}}
        answer = await self._review(kinds.ACCESS_REVIEW, who | access)
        return _ALLOWED if answer.get("allowed") is True else _FORBIDDEN

    async def _review(self, kind: kinds.Kind, spec: dict[str, Any]) -> dict[str, Any]:
        body = {"apiVersion": kind.api_version, "kind": kind.name, "spec": spec}
        return (await self._cluster.review(kind, body)).get("status") or {}


_WHO = {"user": "username", "groups": "groups", "uid": "uid", "extra": "extra"}


def _token(request: web.Request) -> str:
    words = request.headers.get("Authorization", "")
    token = words[len(_BEARER) :].strip() if words.lower().startswith(_BEARER) else ""
    return token if len(token) <= MAX_TOKEN else ""
