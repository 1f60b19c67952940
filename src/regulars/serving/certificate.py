"""https on a developer's machine: a certificate authority of this installation and a certificate for localhost.

The authority is constrained to the names of localhost, so trusting it affects this machine only.

python -m regulars.serving.certificate HOME renews what ends soon, in a process of its own: the one that waits stays small.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .tls import Certificate

AUTHORITY_DAYS, HOST_DAYS, RENEW_DAYS = 1825, 90, 30
NAMES = ("localhost",)
ADDRESSES = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))


def ensure_certificate(home: Path) -> Certificate:
    """Return the home's certificate, valid for at least a month. The authority stays, so it is trusted once."""
    kept = Certificate.of(home)
    if not _is_valid_for(kept.authority, kept.authority_key, HOST_DAYS):
        _make_authority(kept)
    if not _is_valid_for(kept.chain, kept.key, RENEW_DAYS) or not _is_signed_by(kept):
        _make_host(kept)
    return kept


def _is_valid_for(path: Path, key: Path, days: int) -> bool:
    if not (path.exists() and key.exists()):
        return False
    made = x509.load_pem_x509_certificate(path.read_bytes())
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    if private.public_key() != made.public_key():  # stopped after it wrote one of the two
        return False
    return made.not_valid_after_utc > dt.datetime.now(dt.UTC) + dt.timedelta(days=days)


def _is_signed_by(kept: Certificate) -> bool:
    """Return whether the authority signed the certificate. One of them may come from a backup."""
    authority = x509.load_pem_x509_certificate(kept.authority.read_bytes())
    host = x509.load_pem_x509_certificate(kept.chain.read_bytes())
    return host.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == _key_id(
        authority.public_key()
    )


def _make_authority(kept: Certificate) -> None:
    """Create the authority in a folder that is renamed when complete: without its key it could sign nothing.

    The certificate of the one before stays beside it: who trusted that has to trust this one now.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Regulars on {os.uname().nodename}")
    permitted = [
        *(x509.DNSName(each) for each in NAMES),
        *(x509.IPAddress(ipaddress.ip_network(each)) for each in ADDRESSES),
    ]
    made = (
        _builder(name, name, key.public_key(), AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    kept.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = Certificate(Path(mkdtemp(prefix=".tls", dir=kept.folder.parent)))
    _write(draft.authority_key, _pem_of(key), 0o600)
    _write(draft.authority, made.public_bytes(serialization.Encoding.PEM), 0o644)
    if kept.authority.exists():
        _write(draft.authority_before, kept.authority.read_bytes(), 0o644)
    shutil.rmtree(kept.folder, ignore_errors=True)
    draft.folder.rename(kept.folder)


def _make_host(kept: Certificate) -> None:
    authority = x509.load_pem_x509_certificate(kept.authority.read_bytes())
    signer = serialization.load_pem_private_key(kept.authority_key.read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    names = [*(x509.DNSName(each) for each in NAMES), *(x509.IPAddress(each) for each in ADDRESSES)]
    made = (
        _builder(_name("localhost"), authority.subject, key.public_key(), HOST_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier(_key_id(authority.public_key()), None, None), critical=False)
        .sign(signer, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM) + kept.authority.read_bytes()
    _write(kept.key, _pem_of(key), 0o600)
    _write(kept.chain, pem, 0o644)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))  # clocks in containers are not always right
        .not_valid_after(now + dt.timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _key_id(key: object) -> bytes:
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return x509.SubjectKeyIdentifier.from_public_key(key).digest


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file by one that never has wider permissions than `mode`. A process that starts now finds one or the other."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    draft.replace(path)


if __name__ == "__main__":
    ensure_certificate(Path(sys.argv[1]))
