"""Certificates for the server, and a key for every node. For tests on one machine.

For real machines, ask your own authority for the server's certificate; let every party
make its key at home, and hand over the public half only.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

VALID = datetime.timedelta(days=7)


def make_certificates(folder: Path, host: str = "127.0.0.1") -> None:
    """Make an authority and a server certificate that it signed.

    Args:
        folder: Gets ``ca.crt``, ``server.crt`` and ``server.key``. The authority's key
            is not kept: nobody can sign another certificate with it.
        host: Address by which nodes reach the server.
    """
    authority = ec.generate_private_key(ec.SECP256R1())
    server = ec.generate_private_key(ec.SECP256R1())
    names = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address(host)),
    ]
    root = _certificate("federation test authority", authority, authority, None)
    leaf = _certificate("server", server, authority, names)
    pem = serialization.Encoding.PEM
    write_secret(folder / "server.key", _private(server))
    (folder / "ca.crt").write_bytes(root.public_bytes(pem))
    (folder / "server.crt").write_bytes(leaf.public_bytes(pem))


def make_node_key(folder: Path, name: str) -> tuple[Path, Path]:
    """Make the key of one node.

    Args:
        folder: Gets ``NAME.key``, for the node alone, and ``NAME.pub``, for the server.
        name: Of the node.

    Returns:
        The private and the public file.
    """
    key = ec.generate_private_key(ec.SECP384R1())
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    write_secret(
        private,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        ),
    )
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
    )
    return private, public


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that nobody else could read at any time."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: ec.EllipticCurvePrivateKey,
    names: list[x509.GeneralName] | None,
) -> x509.Certificate:
    """Sign a certificate: an authority's if there are no names."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, "federation test authority")]
    )
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(names is None, None), critical=True)
    )
    if names is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
    return builder.sign(issuer, hashes.SHA256())
