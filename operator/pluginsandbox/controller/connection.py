"""Finds the API server and the credentials for it, once, for our own client and for kopf."""

from __future__ import annotations

import os
import pathlib
import socket
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

_incluster: Callable[..., None] = load_incluster_config
_kubeconfig: Callable[..., Awaitable[None]] = load_kube_config

POOL = 64
"""Connections: one for each worker and some to spare."""
READ_BYTES = 1 << 18
"""Of an answer that wait in memory before the server is slowed down."""


class ConnectionSetupError(Exception):
    """There is no usable way to an API server; the message says what to give."""


async def connect(kubeconfig: pathlib.Path | None) -> ApiClient:
    """Return a client: by the kubeconfig, else by the pod's own account, else by KUBECONFIG.

    Raises:
        ConnectionSetupError: None of them works.

    """
    configuration = Configuration()
    try:
        if kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            _incluster(client_configuration=configuration)
        else:
            path = None if kubeconfig is None else str(kubeconfig)
            await _kubeconfig(config_file=path, client_configuration=configuration)
    except (ConfigException, OSError) as error:
        raise ConnectionSetupError(
            f"no way to an API server: {error}; give --kubeconfig FILE, set KUBECONFIG, or run in "
            "a pod with a service account"
        ) from error
    configuration.connection_pool_maxsize = POOL
    return ApiClient(configuration)


def pool(client: ApiClient) -> aiohttp.ClientSession:
    """Return the connections that all who use a client share; made at first use."""
    rest: Any = client.rest_client
    if rest.pool_manager is None:
        rest.pool_manager = session(client, POOL)
    made: aiohttp.ClientSession = rest.pool_manager
    return made


def session(
    client: ApiClient,
    limit: int,
    *,
    headers: Mapping[str, str] | None = None,
    open_socket: Callable[[aiohttp.AddrInfoType], socket.socket] | None = None,
    **options: Any,
) -> aiohttp.ClientSession:
    """Return new connections to the client's API server.

    The client's own would look at the environment and at ~/.netrc for each request, in a thread:
    that is a third of what a request costs. So a proxy is looked up once.

    Args:
        client: Configuration and TLS.
        limit: Connections at the same time; 0 = any number.
        headers: Of each request.
        open_socket: Makes the socket of each connection.
        options: Of `aiohttp.ClientSession`.

    """
    rest: Any = client.rest_client
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=limit, ssl=rest.ssl_context, socket_factory=open_socket
        ),
        proxy=_proxy(client.configuration),
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("Accept-Encoding",),  # unpacking costs more than the way here
        read_bufsize=READ_BYTES,
        **options,
    )


async def token(client: ApiClient) -> dict[str, str]:
    """Return the header that says who we are, with a token that is fresh now."""
    headers: dict[str, Any] = {}
    await client.update_params_for_auth(headers, [], ["BearerToken"], "", "GET", None)
    return {"Authorization": str(*headers.values())} if headers else {}


def _proxy(configuration: Configuration) -> str | None:
    if configuration.proxy:
        return str(configuration.proxy)
    server = urlsplit(configuration.host)
    if urllib.request.proxy_bypass(server.hostname or ""):
        return None
    return urllib.request.getproxies().get(server.scheme)
