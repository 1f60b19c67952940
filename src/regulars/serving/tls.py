"""Where an installation keeps its certificate for localhost. What makes it is in `certificate`, which is heavier."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = "tls"


@dataclass(frozen=True)
class Certificate:
    """Paths of PEM files in one folder: whom to trust, what to show, and the two keys, which are nobody else's to read."""

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
    def chain(self) -> Path:
        return self.folder / "localhost.pem"

    @property
    def key(self) -> Path:
        return self.folder / "localhost.key"

    def how_to_trust(self) -> str:
        """For a terminal: what to tell browsers and other programs of this machine."""
        return "\n".join(
            (
                f"  Trust      {self.authority}",
                "             It vouches for localhost only. Tell your browser once: Settings, Certificates, Authorities, Import.",
                f"             Debian  sudo cp {self.authority} /usr/local/share/ca-certificates/regulars.crt",
                "                     sudo update-ca-certificates",
                f"             macOS   security add-trusted-cert -k ~/Library/Keychains/login.keychain-db {self.authority}",
                f"             Node    export NODE_EXTRA_CA_CERTS={self.authority}",
                f"             Python  export SSL_CERT_FILE={self.authority} REQUESTS_CA_BUNDLE={self.authority}",
            )
        )
