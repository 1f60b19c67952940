"""Paths of the certificate for localhost. `certificate` makes it and imports more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = "tls"


@dataclass(frozen=True)
class Certificate:
    """PEM files in one folder: the authority, the certificate chain, and their private keys."""

    folder: Path

    @classmethod
    def of(cls, home: Path) -> Certificate:
        return cls(home / FOLDER)

    @property
    def authority(self) -> Path:
        return self.folder / "authority.pem"

    @property
    def authority_key(self) -> Path:
        return self.folder / "authority.key"

    @property
    def authority_before(self) -> Path:
        """The authority that this one replaced, where there was one."""
        return self.folder / "authority-before.pem"

    @property
    def chain(self) -> Path:
        return self.folder / "localhost.pem"

    @property
    def key(self) -> Path:
        return self.folder / "localhost.key"

    def trust_instructions(self) -> str:
        """Return instructions for a terminal: how browsers and programs of this machine trust the authority."""
        return "\n".join(
            (
                f"  Trust      {self.authority}",
                "             It is valid for localhost only. Import it into your browser once: Settings, Certificates, Authorities, Import.",
                f"             Debian  sudo cp {self.authority} /usr/local/share/ca-certificates/regulars.crt",
                "                     sudo update-ca-certificates",
                f"             macOS   security add-trusted-cert -k ~/Library/Keychains/login.keychain-db {self.authority}",
                f"             Node    export NODE_EXTRA_CA_CERTS={self.authority}",
                f"             Python  export SSL_CERT_FILE={self.authority} REQUESTS_CA_BUNDLE={self.authority}",
            )
        )
