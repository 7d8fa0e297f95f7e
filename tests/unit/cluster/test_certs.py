"""Every certificate is good for its own purpose and for no other."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from tests.cluster import certs
from tests.cluster.layout import Layout


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    folder = tmp_path_factory.mktemp("cluster")
    layout = Layout(state=folder / "state", run=folder / "run")
    certs.ensure(layout)
    return layout


def _read(layout: Layout, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((layout.pki / f"{name}.crt").read_bytes())


@pytest.mark.parametrize("leaf", certs.LEAVES, ids=lambda leaf: leaf.name)
def test_a_certificate_is_signed_by_its_own_authority_alone(
    layout: Layout, leaf: certs.Leaf
) -> None:
    certificate = _read(layout, leaf.name)

    for authority in certs.AUTHORITIES:
        if authority == leaf.authority:
            certificate.verify_directly_issued_by(_read(layout, authority))
        else:
            with pytest.raises(ValueError, match="does not match"):
                certificate.verify_directly_issued_by(_read(layout, authority))


@pytest.mark.parametrize(
    "leaf", [leaf for leaf in certs.LEAVES if leaf.hosts], ids=lambda leaf: leaf.name
)
def test_a_strict_client_believes_a_server(layout: Layout, leaf: certs.Leaf) -> None:
    trusted = PolicyBuilder().store(Store([_read(layout, leaf.authority)]))
    verifier = trusted.build_server_verifier(x509.DNSName(leaf.hosts[0]))

    assert len(verifier.verify(_read(layout, leaf.name), [])) == 2


@pytest.mark.parametrize("leaf", certs.LEAVES, ids=lambda leaf: leaf.name)
def test_a_certificate_serves_or_calls_only_if_it_should(layout: Layout, leaf: certs.Leaf) -> None:
    usage = _read(layout, leaf.name).extensions.get_extension_for_class(x509.ExtendedKeyUsage)

    assert (ExtendedKeyUsageOID.CLIENT_AUTH in usage.value) is leaf.client
    assert (ExtendedKeyUsageOID.SERVER_AUTH in usage.value) is bool(leaf.hosts)


def test_good_certificates_are_kept(layout: Layout) -> None:
    before = {path: path.read_bytes() for path in layout.pki.iterdir()}

    assert certs.ensure(layout) == certs.ensure(layout)
    assert {path: path.read_bytes() for path in layout.pki.iterdir()} == before


def test_a_new_plan_keeps_the_authorities(layout: Layout) -> None:
    ca, admin = (layout.pki / name for name in ("ca.crt", "admin.crt"))
    before = (ca.read_bytes(), admin.read_bytes())

    (layout.pki / "plan").write_text("another")
    certs.ensure(layout)

    assert ca.read_bytes() == before[0]
    assert admin.read_bytes() != before[1]


def test_certificates_that_end_soon_are_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(state=tmp_path / "state", run=tmp_path / "run")
    monkeypatch.setattr(certs, "_LIFETIME", dt.timedelta(days=20))
    short = certs.ensure(layout)

    monkeypatch.undo()

    assert certs.ensure(layout) != short


def test_the_kubeconfig_verifies_the_server(layout: Layout) -> None:
    config = json.loads(layout.kubeconfig.read_text())

    assert set(config["clusters"][0]["cluster"]) == {"server", "certificate-authority-data"}
    assert layout.kubeconfig.stat().st_mode & 0o077 == 0
