"""Finds the API server and the credentials for it, once, for our own client and for kopf."""

from __future__ import annotations

import os
import pathlib
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import kopf
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

_incluster: Callable[..., None] = load_incluster_config
_kubeconfig: Callable[..., Awaitable[None]] = load_kube_config

POOL = 64
"""Connections: one for each worker and some to spare."""


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


async def for_kopf(client: ApiClient, tracing: aiohttp.TraceConfig) -> kopf.AiohttpSession:
    """Return the same connection for kopf, with a token that is fresh now.

    Args:
        client: Our own.
        tracing: Told of kopf's requests.

    """
    configuration = client.configuration
    headers: dict[str, Any] = {}
    await client.update_params_for_auth(headers, [], ["BearerToken"], "", "GET", None)
    token = headers.get("authorization")
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=_tls(configuration)),
        headers={"Authorization": str(token)} if token else {},
        trust_env=True,
        trace_configs=[tracing],
    )
    return kopf.AiohttpSession(server=configuration.host, aiohttp_session=session)


def _tls(configuration: Configuration) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
