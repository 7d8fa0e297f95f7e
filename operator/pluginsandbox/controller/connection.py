"""Finds the API server and the credentials for it, once, for our own client and for kopf."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Awaitable, Callable
from typing import Any

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


async def for_kopf(client: ApiClient) -> kopf.ConnectionInfo:
    """Return the same connection for kopf, with a token that is fresh now."""
    configuration = client.configuration
    headers: dict[str, Any] = {}
    await client.update_params_for_auth(headers, [], ["BearerToken"], "", "GET", None)
    scheme, _, token = str(headers.get("authorization", "")).partition(" ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        scheme=scheme or None,
        token=token.strip() or None,
        trust_env=True,
    )
