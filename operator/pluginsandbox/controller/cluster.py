"""The controller's only door to the API server: plain dictionaries over `kubernetes.aio`.

No typed models: reading one costs ten times a JSON decode. Every request has a time limit, every
write asks first whether this process may write, idempotent requests are tried again a few times,
and every answer becomes a body or one of `errors`.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec
from kubernetes.aio.client import ApiClient

from pluginsandbox.controller import connection, wire
from pluginsandbox.controller.errors import PermanentError, ProgrammerError, RetryError
from pluginsandbox.controller.kinds import FIELD_MANAGER, POD, Kind
from pluginsandbox.controller.wire import WatchEvent
from pluginsandbox.telemetry.operator_metrics import OperatorMetrics

Body = dict[str, Any]
Event = WatchEvent[Body]

REQUEST_SECONDS = 10.0
ATTEMPTS = 3
RETRY_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 5.0
"""A server that asks for more is obeyed by the queue, not by a worker that stands still."""
PAGE = 200
"""Objects of a list that are in memory as the API server gave them."""
SILENCE_SECONDS = 100.0
"""A server that is there sends a bookmark about every minute."""

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON = "application/json"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

NOT_FOUND = 404
CONFLICT = 409
GONE = 410
THROTTLED = 429
_SERVER = 500
_UNLIKE_YAML = re.compile(
    rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]|\xef\xbb\xbf|\xef\xbf[\xbe\xbf]"
)
"""In UTF-8: DEL, U+0080 to U+009F, U+2028, U+2029, U+FEFF, U+FFFE and U+FFFF."""
_BROKEN = (aiohttp.ClientError, TimeoutError, OSError)
_DEFECTS = frozenset({400, 405, 406, 415})


class Cluster:
    """Reads and writes objects.

    Args:
        client: Connection and credentials.
        metrics: Counts the writes.
        gate: Raises `NotLeaderError` when this process may not write.

    """

    def __init__(
        self,
        client: ApiClient,
        metrics: OperatorMetrics,
        gate: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = client
        self._rest: Any = client.rest_client
        self._streams: aiohttp.ClientSession | None = None
        self._metrics = metrics
        self._gate = gate
        self._timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=REQUEST_SECONDS)

    async def get(self, kind: Kind, namespace: str, name: str) -> Body | None:
        """Return an object, or None if there is none."""
        return await self._maybe(kind.path(namespace, name), JSON)

    async def get_metadata(self, kind: Kind, namespace: str, name: str) -> Body | None:
        """Return an object's metadata alone, or None if there is none."""
        return await self._maybe(kind.path(namespace, name), METADATA_ONLY)

    async def pages(
        self,
        kind: Kind,
        namespace: str | None,
        selector: str = "",
        fields: str = "",
        *,
        limit: int = PAGE,
    ) -> AsyncIterator[Body]:
        """Yield the pages of a list; each has `items` and `metadata.resourceVersion`."""
        query = {"limit": str(limit)}
        query |= {"labelSelector": selector} if selector else {}
        query |= {"fieldSelector": fields} if fields else {}
        while True:
            page = await self._insist("GET", kind.path(namespace), query)
            yield page
            following = (page.get("metadata") or {}).get("continue")
            if not following:
                return
            query["continue"] = following

    async def list(
        self, kind: Kind, namespace: str | None, selector: str = "", fields: str = ""
    ) -> list[Body]:
        """Return all objects that the selectors match."""
        pages = self.pages(kind, namespace, selector, fields)
        return [item async for page in pages for item in page.get("items") or ()]

    async def watch(
        self, kind: Kind, namespace: str | None, selector: str, version: str, seconds: float
    ) -> AsyncIterator[Sequence[Event]]:
        """Yield what happens, as it comes, until the server ends it.

        Args:
            kind: Of the objects.
            namespace: Theirs; None = all.
            selector: Of labels.
            version: resourceVersion after which to begin.
            seconds: After which the server is to end it.

        Raises:
            PermanentError: `GONE`: the server no longer knows that version.
            RetryError: It failed, or said nothing for so long that it is not there any more.

        """
        query = {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
        query |= {"timeoutSeconds": str(max(1, round(seconds)))}
        query |= {"labelSelector": selector} if selector else {}
        if self._streams is None:
            self._streams = connection.session(self._client, 0)
        patience = aiohttp.ClientTimeout(sock_connect=REQUEST_SECONDS, sock_read=SILENCE_SECONDS)
        url, headers = await self._address("GET", kind.path(namespace), query, JSON, JSON)
        try:
            async with self._streams.get(url, headers=headers, timeout=patience) as answer:
                if answer.status != 200:  # noqa: PLR2004 - of a stream
                    _decode(
                        answer.status, answer.headers.get("Retry-After", ""), await answer.read()
                    )
                async for lines in _lines(answer.content):
                    yield [_event(kind, line) for line in lines]
        except _BROKEN as error:
            raise _unanswered(error) from error

    async def ask_pod(
        self, namespace: str, pod: str, port: int, path: str, query: dict[str, str]
    ) -> Body:
        """Return the JSON object that a pod serves, asked through the API server."""
        place = POD.path(namespace, f"{pod}:{port}", f"proxy/{path}")
        return await self._insist("GET", place, query)

    async def serves(self, kind: Kind) -> bool:
        """Tell whether the API server knows the kind."""
        found = await self._maybe(kind.root, JSON)
        names = {each["name"] for each in (found or {}).get("resources") or ()}
        return kind.plural in names

    async def apply(self, kind: Kind, manifest: Body) -> Body:
        """Apply a manifest server-side, fields that others set included, and return the object.

        Args:
            kind: Of the manifest.
            manifest: All that we want to say about the object. With a resourceVersion, an object of
                another one is a conflict.

        """
        metadata = manifest["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"])
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._write(kind, "apply", "PATCH", path, query, manifest, APPLY)

    async def patch_status(
        self, kind: Kind, namespace: str, name: str, status: Mapping[str, Any], version: str
    ) -> Body:
        """Merge into an object's status, if the object is still of this resourceVersion."""
        path = kind.path(namespace, name, "status")
        body = {"metadata": {"resourceVersion": version}, "status": status}
        query = {"fieldManager": FIELD_MANAGER}
        return await self._write(kind, "status", "PATCH", path, query, body, MERGE)

    async def delete(self, kind: Kind, body: Mapping[str, Any]) -> None:
        """Delete exactly the object that was seen; one that is gone or replaced is no error."""
        metadata = body["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"])
        options = {"preconditions": {"uid": metadata["uid"]}, "propagationPolicy": "Background"}
        try:
            await self._write(kind, "delete", "DELETE", path, {}, options, JSON)
        except RetryError as error:
            if error.code != CONFLICT:
                raise
        except PermanentError as error:
            if error.code != NOT_FOUND:
                raise

    async def create(self, kind: Kind, body: Body) -> Body:
        """Create an object; sent once, as it is not idempotent."""
        path = kind.path(body["metadata"]["namespace"])
        query = {"fieldManager": FIELD_MANAGER}
        return await self._write(kind, "create", "POST", path, query, body, JSON)

    async def review(self, kind: Kind, body: Body) -> Body:
        """Have the API server review something; it keeps nothing, so this is no write."""
        return await self._send("POST", kind.path(""), {}, body, JSON)

    async def merge(self, kind: Kind, namespace: str, name: str, body: Body) -> Body:
        """Merge a patch into an object."""
        query = {"fieldManager": FIELD_MANAGER}
        path = kind.path(namespace, name)
        return await self._write(kind, "patch", "PATCH", path, query, body, MERGE)

    async def replace(self, kind: Kind, body: Body) -> Body:
        """Replace an object of the resourceVersion in `body`; sent once, without the gate."""
        self._metrics.writes.labels(kind.name, "replace").inc()
        metadata = body["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"])
        return await self._send("PUT", path, {}, body, JSON)

    async def close(self) -> None:
        """Close the connections."""
        await self._rest.close()
        if self._streams is not None:
            await self._streams.close()

    async def _maybe(self, path: str, accept: str) -> Body | None:
        try:
            return await self._insist("GET", path, {}, accept=accept)
        except PermanentError as error:
            if error.code == NOT_FOUND:
                return None
            raise

    async def _write(
        self,
        kind: Kind,
        verb: str,
        method: str,
        path: str,
        query: dict[str, str],
        body: Mapping[str, Any],
        content: str,
    ) -> Body:
        self._metrics.writes.labels(kind.name, verb).inc()
        if method == "POST":
            self._gate()
            return await self._send(method, path, query, body, content)
        return await self._insist(method, path, query, body, content, gate=self._gate)

    async def _insist(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: Mapping[str, Any] | None = None,
        content: str = JSON,
        *,
        accept: str = JSON,
        gate: Callable[[], None] = lambda: None,
    ) -> Body:
        """Send an idempotent request, again where the server or the network failed."""
        for attempt in range(ATTEMPTS):
            gate()
            try:
                return await self._send(method, path, query, body, content, accept)
            except RetryError as error:
                last = attempt == ATTEMPTS - 1
                if last or error.code == CONFLICT or error.after > LONGEST_WAIT_SECONDS:
                    raise
                wait = max(error.after, RETRY_SECONDS * 2**attempt)
            await asyncio.sleep(wait * (1 + random.random() / 4))  # noqa: S311 - jitter
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _send(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: Mapping[str, Any] | None,
        content: str,
        accept: str = JSON,
    ) -> Body:
        url, headers = await self._address(method, path, query, content, accept)
        data = None if body is None else encoded(body, content)
        pool = connection.pool(self._client)
        try:
            async with pool.request(
                method, url, headers=headers, data=data, timeout=self._timeout
            ) as answer:
                told = await answer.read()
        except _BROKEN as error:
            raise _unanswered(error) from error
        return _decode(answer.status, answer.headers.get("Retry-After", ""), told)

    async def _address(
        self, method: str, path: str, query: dict[str, str], content: str, accept: str
    ) -> tuple[str, dict[str, str]]:
        client = self._client
        headers = {"Accept": accept, "Content-Type": content, "User-Agent": FIELD_MANAGER}
        await client.update_params_for_auth(headers, [], ["BearerToken"], path, method, None)
        url = f"{client.configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        return url, headers


def encoded(body: Mapping[str, Any], content: str) -> bytes:
    """Return a body as the API server reads it.

    What is applied it reads as YAML, which refuses some characters of JSON and takes others for
    ends of lines: files of plugins may hold any of them.
    """
    data = msgspec.json.encode(body)
    return _UNLIKE_YAML.sub(_by_number, data) if content == APPLY else data


def _by_number(found: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(found[0].decode())


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[list[bytes]]:
    """Yield the lines of a stream, those that came together together."""
    begun: list[bytes] = []  # a line of many parts is joined once
    async for data in content.iter_any():
        head, found, tail = data.rpartition(b"\n")
        if found:
            whole, begun = b"".join((*begun, head)), []
            yield whole.split(b"\n")
        if tail:
            begun.append(tail)


def _event(kind: Kind, line: bytes) -> Event:
    event = wire.read(kind, line)
    if event.type == "ERROR":
        _decode(int(event.object.get("code") or _SERVER), "", msgspec.json.encode(event.object))
    return event


def _unanswered(error: Exception) -> RetryError:
    return RetryError(f"the API server did not answer: {type(error).__name__} {error}")


def _decode(code: int, retry_after: str, data: bytes) -> Body:
    try:
        body: Body = msgspec.json.decode(data, type=dict)
    except msgspec.DecodeError:
        body = {"message": data[:200].decode(errors="replace")}
    if code < 300:  # noqa: PLR2004 - HTTP's own boundary
        return body
    message = str(body.get("message") or f"HTTP {code}")
    if code in {CONFLICT, THROTTLED} or code >= _SERVER:
        details = body.get("details") or {}
        after = retry_after if retry_after.isdigit() else details.get("retryAfterSeconds", 0)
        raise RetryError(message, after=float(after), code=code)
    if code in _DEFECTS and "admission webhook" not in message:
        raise ProgrammerError(f"HTTP {code}: {message}")
    raise PermanentError(message, code=code)
