"""The operator's own endpoints: four paths and no other; TLS and authentication if asked for."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pluginsandbox.controller import certificate, guard
from pluginsandbox.controller.operator import Operator
from pluginsandbox.controller.settings import Settings
from tests.bed import chart
from tests.integration.operator import accounts
from tests.integration.operator.bed import Bed, eventually

pytestmark = pytest.mark.cluster

PROBES = ("/healthz", "/readyz")
GUARDED = ("/metrics", "/decisions")
OTHERS = (
    *(
        "/",
        "/debug/pprof",
        "/debug/vars",
        "/configz",
        "/logs",
        "/stats",
        "/contexts",
        "/openapi.json",
    ),
    *("/metrics/", "/metrics/x", "/healthz/../etc/passwd", "//metrics", "/METRICS", "/api", "/v1"),
    *("/decisions/all", "/static", "/.git", "/favicon.ico"),
)
METHODS = ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def configured(bed: Bed, **endpoints: Any) -> Settings:
    common = bed.settings.model_dump(by_alias=True)
    return Settings.model_validate({**common, "endpoints": endpoints})


def issue(folder: Path, name: str) -> None:
    """Write a certificate for the loopback address that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    local = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(local, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / certificate.KEY).write_bytes(key.private_bytes(pem, *plain))
    (folder / certificate.CERTIFICATE).write_bytes(made.public_bytes(pem))


class Caller:
    """Asks the operator."""

    def __init__(self, session: aiohttp.ClientSession, operator: Operator, scheme: str) -> None:
        self._session = session
        self._base = f"{scheme}://127.0.0.1:{operator.health.port}"

    async def status(self, path: str, token: str = "", method: str = "GET") -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self._session.request(method, self._base + path, headers=headers) as answer:
            return answer.status


@contextlib.asynccontextmanager
async def calling(
    operator: Operator, *, scheme: str = "http", trusted: Path | None = None
) -> AsyncIterator[Caller]:
    """Give a way to ask, that trusts one certificate, on a connection of its own each time."""

    async def listens() -> bool:
        return operator.health.port > 0

    await eventually("it listens", listens)
    context = None if trusted is None else ssl.create_default_context(cafile=str(trusted))
    connector = aiohttp.TCPConnector(ssl=context or True, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Caller(session, operator, scheme)


async def test_nothing_answers_but_probes_metrics_and_decisions(bed: Bed) -> None:
    async with bed.operator() as operator, calling(operator) as caller:
        await eventually("it is ready", lambda: _is(caller, "/readyz", 200))
        assert [await caller.status(path) for path in (*PROBES, *GUARDED)] == [200] * 4
        assert {await caller.status(path) for path in OTHERS} == {404}
        for method in METHODS:
            told = {await caller.status(path, method=method) for path in (*PROBES, *GUARDED)}
            assert told == {405}, method


async def test_with_a_certificate_it_speaks_tls_alone_and_takes_in_a_renewed_one(
    bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificate.Certificate.follow, "__defaults__", (0.1,))
    issue(tmp_path, "first")
    first, second = tmp_path / "first.crt", tmp_path / certificate.CERTIFICATE
    first.write_bytes(second.read_bytes())
    async with bed.operator(configured(bed, tlsDirectory=str(tmp_path))) as operator:
        async with calling(operator, scheme="https", trusted=first) as caller:
            assert await caller.status("/healthz") == 200
            assert await caller.status("/metrics") == 200
        async with calling(operator) as plain:
            with pytest.raises(aiohttp.ClientError):
                await plain.status("/healthz")
        issue(tmp_path, "second")

        async def renewed() -> bool:
            with contextlib.suppress(aiohttp.ClientError):
                async with calling(operator, scheme="https", trusted=second) as caller:
                    return await caller.status("/healthz") == 200
            return False

        await eventually("the renewed certificate", renewed)


async def test_a_certificate_that_is_missing_is_said_with_the_value_that_names_it(
    bed: Bed, tmp_path: Path
) -> None:
    with pytest.raises(OSError, match=r"tls\.crt.*metrics\.tls\.secretName"):
        async with bed.operator(configured(bed, tlsDirectory=str(tmp_path))):
            pass


async def test_only_whom_the_api_server_knows_and_lets_reads_metrics_and_decisions(
    bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "BELIEVED_SECONDS", 0.2)
    reviews, readers = _roles(bed.namespace)
    kubeconfig = await accounts.make(bed, bed.namespace, "operator", tmp_path)
    scraper = await accounts.make(bed, bed.namespace, "scraper", tmp_path)
    token = _token(scraper)
    await accounts.grant(bed, (bed.namespace, "operator"), _own(bed.namespace))
    async with (
        bed.operator(configured(bed, authentication=True), kubeconfig) as operator,
        calling(operator) as caller,
    ):
        await eventually("it is ready", lambda: _is(caller, "/readyz", 200))
        assert [await caller.status(path, token) for path in GUARDED] == [503, 503]
        await accounts.grant(bed, (bed.namespace, "operator"), [*_own(bed.namespace), *reviews])
        await eventually("it may ask", lambda: _is(caller, "/metrics", 403, token))
        assert [await caller.status(path) for path in PROBES] == [200, 200]
        for nobody in ("", "nonsense", "a.b.c", "x" * 4000):
            assert [await caller.status(path, nobody) for path in GUARDED] == [401, 401]
        assert [await caller.status(path, token) for path in GUARDED] == [403, 403]
        await accounts.grant(bed, (bed.namespace, "scraper"), readers)
        await eventually("it may read", lambda: _is(caller, "/metrics", 200, token))
        await eventually("decisions, too", lambda: _is(caller, "/decisions", 200, token))
        assert await caller.status("/other", token) == 404
        await accounts.grant(bed, (bed.namespace, "scraper"), [])
        await eventually("it may no longer", lambda: _is(caller, "/metrics", 403, token))


async def _is(caller: Caller, path: str, status: int, token: str = "") -> bool:
    return await caller.status(path, token) == status


def _roles(namespace: str) -> tuple[list[Any], list[Any]]:
    """Return the rules that the chart has for this: the operator's, and those of who reads."""
    rendered = chart.rendered(namespace, metrics={"authentication": True})
    roles = (each for each in rendered if each["kind"] == "ClusterRole")
    found = {each["metadata"]["name"].rpartition(":")[2]: each for each in roles}
    return found["reviews"]["rules"], found["metrics-reader"]["rules"]


def _own(namespace: str) -> list[Any]:
    watched, home = chart.rules(namespace)
    wide = [{key: value for key, value in each.items() if key != "resourceNames"} for each in home]
    return [*watched, *wide]


def _token(kubeconfig: Path) -> str:
    return str(yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"])
