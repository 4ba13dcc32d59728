"""Certificates for servers and clients on this machine, and the files in which programs want them."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import trustme

CLIENT = "worker"


class Certificates:
    """One authority, a server and a client that it vouches for, and another authority that nobody knows."""

    def __init__(self, directory: Path) -> None:
        import trustme  # noqa: PLC0415 - what it brings takes long, and the fast tests need no certificate

        directory.mkdir(exist_ok=True)
        self._directory = directory
        authority = trustme.CA()
        self.authority = directory / "authority.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        self.server_certificate, self.server_key = self._issue(authority, "server", "localhost", "127.0.0.1")
        self.client_certificate, self.client_key = self._issue(authority, "client", "worker.test")
        self.other_authority = directory / "other.pem"
        trustme.CA().cert_pem.write_to_path(str(self.other_authority))
        # Kafka wants key and certificate in one file.
        self.server_store = directory / "server-store.pem"
        self.server_store.write_bytes(self.server_key.read_bytes() + self.server_certificate.read_bytes())

    def _issue(self, authority: "trustme.CA", name: str, *identities: str) -> tuple[Path, Path]:
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - as above
            Encoding,
            NoEncryption,
            PrivateFormat,
            load_pem_private_key,
        )

        issued = authority.issue_cert(*identities, common_name=CLIENT if name == "client" else None)
        certificate, key = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        # Java reads keys in this format only.
        private = load_pem_private_key(issued.private_key_pem.bytes(), None)
        key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, key
