"""The API server behind a proxy, and the certificate that a proxy shows in its place."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_CONNECT = aiohttp.ClientTimeout(total=None, sock_connect=5)
_LINE_BYTES = 1 << 22
"""An event of a watch is one line."""
_PASSED_ON = frozenset({"accept", "authorization", "content-type", "user-agent"})


class Upstream:
    """An API server.

    Args:
        kubeconfig: Of its administrator.
        folder: Where certificate and kubeconfigs of proxies are kept.

    """

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self._config = yaml.safe_load(kubeconfig.read_text())
        self._folder = folder
        self._session: aiohttp.ClientSession
        self.certificate = folder / "proxy.crt"
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Upstream]:
        """Make the certificate, and connect."""
        self._certify()
        authority = self._config["clusters"][0]["cluster"]["certificate-authority"]
        context = ssl.create_default_context(cafile=authority)
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=_CONNECT, read_bufsize=_LINE_BYTES
        )
        async with self._session:
            yield self

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Send a request on, with the headers that matter."""
        kept = {key: value for key, value in headers.items() if key.lower() in _PASSED_ON}
        url = self._config["clusters"][0]["cluster"]["server"] + path
        return self._session.request(
            method, url, headers=kept, data=body or None, skip_auto_headers=("Accept-Encoding",)
        )

    def kubeconfig(self, port: int) -> Path:
        """Write the kubeconfig of a proxy."""
        cluster = {
            "server": f"https://127.0.0.1:{port}",
            "certificate-authority": str(self.certificate),
        }
        config: dict[str, Any] = self._config | {
            "clusters": [{**self._config["clusters"][0], "cluster": cluster}]
        }
        path = self._folder / f"kubeconfig-{port}"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(config))
        return path

    def _certify(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "proxy")])
        now = dt.datetime.now(dt.UTC)
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(address, critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        secret = self._folder / "proxy.key"
        secret.touch(mode=0o600)
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.tls.load_cert_chain(self.certificate, secret)
