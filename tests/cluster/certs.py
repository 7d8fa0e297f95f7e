"""The cluster's certificates: every connection in it is verified, in both directions.

Three authorities, because each opens a different door: `ca` for the API's clients and servers,
`etcd-ca` for the database (only the API server has a client certificate of it) and
`front-proxy-ca` for servers that answer behind the API server.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.cluster.layout import (
    API_SERVICE_ADDRESS,
    API_URL,
    DNS_DOMAIN,
    NODE_ADDRESS,
    NODE_NAME,
    Layout,
)

_LIFETIME = dt.timedelta(days=3650)
_RENEW_BEFORE = dt.timedelta(days=30)
_LOCAL = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Leaf:
    """One certificate.

    Args:
        name: of its files.
        authority: who signs it.
        user: common name; to the API server, the user.
        groups: organisations; to the API server, the groups.
        hosts: names and addresses it serves under; empty for a client.
        client: whether it also opens connections.
    """

    name: str
    authority: str
    user: str
    groups: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    client: bool = True


AUTHORITIES = ("ca", "etcd-ca", "front-proxy-ca")
LEAVES = (
    Leaf(
        "apiserver",
        "ca",
        "kube-apiserver",
        hosts=(
            *_LOCAL,
            str(NODE_ADDRESS),
            str(API_SERVICE_ADDRESS),
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            f"kubernetes.default.svc.{DNS_DOMAIN}",
        ),
        client=False,
    ),
    Leaf("apiserver-kubelet-client", "ca", "kube-apiserver-kubelet-client"),
    Leaf("apiserver-etcd-client", "etcd-ca", "kube-apiserver-etcd-client"),
    Leaf("etcd", "etcd-ca", "etcd", hosts=_LOCAL),
    Leaf("front-proxy-client", "front-proxy-ca", "front-proxy-client"),
    Leaf("kubelet-server", "ca", NODE_NAME, hosts=(NODE_NAME, str(NODE_ADDRESS)), client=False),
    Leaf("loopback-server", "ca", "loopback-server", hosts=_LOCAL, client=False),
    Leaf("kubelet", "ca", f"system:node:{NODE_NAME}", ("system:nodes",)),
    Leaf("controller-manager", "ca", "system:kube-controller-manager"),
    Leaf("scheduler", "ca", "system:kube-scheduler"),
    Leaf("proxy", "ca", "system:kube-proxy"),
    Leaf("policy-agent", "ca", "pluginsandbox-policy-agent"),
    Leaf("admin", "ca", "pluginsandbox-admin", ("system:masters",)),
)
KUBECONFIGS = ("kubelet", "controller-manager", "scheduler", "proxy", "admin")


def ensure(layout: Layout) -> str:
    """Make certificates, keys and kubeconfigs unless good ones are there.

    The authorities stay when only the plan changes, for pods that run trust them.

    Returns:
        A fingerprint that changes when any is made anew, so that processes get restarted.
    """
    plan = hashlib.sha256(repr((AUTHORITIES, LEAVES, API_URL)).encode()).hexdigest()
    note = layout.pki / "plan"
    authorities = [layout.pki / f"{name}.crt" for name in AUTHORITIES]
    lasting = all(path.exists() and _lasts(path) for path in authorities)
    if not (lasting and note.exists() and note.read_text() == plan):
        layout.state.mkdir(mode=0o755, parents=True, exist_ok=True)
        layout.pki.mkdir(mode=0o700, exist_ok=True)
        if not lasting:
            for name in AUTHORITIES:
                _make_authority(layout.pki, name)
            _make_service_account_key(layout.pki)
        _make_leaves(layout)
        note.write_text(plan)
    return hashlib.sha256(plan.encode() + authorities[0].read_bytes()).hexdigest()


def _lasts(path: Path) -> bool:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return dt.datetime.now(dt.UTC) + _RENEW_BEFORE < certificate.not_valid_after_utc


def _make_leaves(layout: Layout) -> None:
    for leaf in LEAVES:
        _make_leaf(layout.pki, leaf)
    for name in KUBECONFIGS:
        path = layout.kubeconfig if name == "admin" else layout.pki / f"{name}.kubeconfig"
        _write_secret(path, kubeconfig(layout.pki, name).encode())


def _make_service_account_key(folder: Path) -> None:
    _write_key(folder / "service-account.key", key := ec.generate_private_key(ec.SECP256R1()))
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / "service-account.pub").write_bytes(public)


def _make_authority(folder: Path, name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"pluginsandbox-{name}")])
    usage = _key_usage(sign_certificates=True)
    certificate = (
        _builder(subject, subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(folder, name, certificate, key)


def _read_authority(folder: Path, name: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = serialization.load_pem_private_key((folder / f"{name}.key").read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{folder / name}.key is no key of ours")
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes()), key


def _make_leaf(folder: Path, leaf: Leaf) -> None:
    authority, signer = _read_authority(folder, leaf.authority)
    key = ec.generate_private_key(ec.SECP256R1())
    organisations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in leaf.groups]
    subject = x509.Name([*organisations, x509.NameAttribute(NameOID.COMMON_NAME, leaf.user)])
    builder = (
        _builder(subject, authority.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_purposes(leaf)), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if leaf.hosts:
        names = x509.SubjectAlternativeName(_general_names(leaf.hosts))
        builder = builder.add_extension(names, critical=False)
    _write(folder, leaf.name, builder.sign(signer, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _purposes(leaf: Leaf) -> list[x509.ObjectIdentifier]:
    server = [ExtendedKeyUsageOID.SERVER_AUTH] if leaf.hosts else []
    return server + ([ExtendedKeyUsageOID.CLIENT_AUTH] if leaf.client else [])


def _general_names(hosts: Sequence[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            address = ip_address(host)
        except ValueError:
            names.append(x509.DNSName(host))
        else:
            names.append(x509.IPAddress(IPv4Address(address)))
    return names


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write(
    folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    _write_key(folder / f"{name}.key", key)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write_secret(path, pem)


def _write_secret(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content)


def kubeconfig(folder: Path, name: str) -> str:
    """A kubeconfig for the holder of certificate `name`, with everything embedded.

    JSON is YAML too, and every reader of kubeconfigs takes it.
    """

    def embedded(file: str) -> str:
        return base64.b64encode((folder / file).read_bytes()).decode()

    user = {
        "client-certificate-data": embedded(f"{name}.crt"),
        "client-key-data": embedded(f"{name}.key"),
    }
    cluster = {"server": API_URL, "certificate-authority-data": embedded("ca.crt")}
    context = {"cluster": "pluginsandbox-local", "user": name}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "pluginsandbox-local", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "pluginsandbox-local", "context": context}],
            "current-context": "pluginsandbox-local",
        },
        indent=2,
    )
