"""The CA of the API server is read again like the token (case S6): a TLS
server in this process has a certificate of one CA, then of another.
"""

import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cerebro.kube.client.connection import Connection
from cerebro.kube.client.errors import Unavailable
from cerebro.kube.client.transport import Transport


@pytest.fixture
def port(unused_tcp_port: int) -> int:
    return unused_tcp_port


@pytest.fixture
def transport(tmp_path: Path, port: int) -> Transport:
    connection = Connection(
        f"https://127.0.0.1:{port}", ca_file=tmp_path / "ca.crt"
    )

    return Transport(connection, timeout=5.0)


async def test_s6_calls_go_on_after_the_ca_was_rotated(
    tmp_path: Path, port: int, transport: Transport
) -> None:
    make_authority(tmp_path, "first")
    make_authority(tmp_path, "second")
    trust(tmp_path, "first")

    async with transport:
        async with api_server(tmp_path / "first", port):
            assert await version(transport) == "first"

        async with api_server(tmp_path / "second", port):
            with pytest.raises(Unavailable):
                await version(transport)

            trust(tmp_path, "second")
            assert await version(transport) == "second"


async def test_s6_a_ca_that_is_half_written_changes_nothing(
    tmp_path: Path, port: int, transport: Transport
) -> None:
    make_authority(tmp_path, "first")
    make_authority(tmp_path, "second")
    trust(tmp_path, "first")

    async with transport:
        ca_file = tmp_path / "ca.crt"
        ca_file.write_text("-----BEGIN CERTIFICATE-----\n")

        async with api_server(tmp_path / "second", port):
            with pytest.raises(Unavailable):
                await version(transport)

        async with api_server(tmp_path / "first", port):
            assert await version(transport) == "first"


async def version(transport: Transport) -> str:
    """Return what the server calls itself."""
    answer = await transport.request("GET", "/version", call="GET /version")
    name: str = answer["name"]

    return name


@asynccontextmanager
async def api_server(files: Path, port: int) -> AsyncIterator[None]:
    """Answer on the port with the certificate of that folder."""

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"name": files.name})

    app = web.Application()
    app.router.add_get("/version", answer)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files / "tls.crt", files / "tls.key")
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()

    try:
        await web.TCPSite(
            runner, "127.0.0.1", port, ssl_context=context
        ).start()

        yield
    finally:
        await runner.cleanup()


def trust(folder: Path, authority: str) -> None:
    """Write the CA that the client trusts, as the kubelet does."""
    pem = (folder / authority / "ca.crt").read_text()
    (folder / "ca.crt").write_text(pem)


def make_authority(folder: Path, name: str) -> None:
    """Make a CA, and a server certificate for 127.0.0.1 that it signed."""
    files = folder / name
    files.mkdir()

    ca_key, server_key = (
        ec.generate_private_key(ec.SECP256R1()) for _ in range(2)
    )

    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    ca = (
        certificate(ca_name, ca_key.public_key(), ca_name)
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .add_extension(usage(signs=True), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()),
            critical=False,
        )
        .sign(ca_key, hashes.SHA256())
    )

    address = x509.IPAddress(ip_address("127.0.0.1"))
    server_name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, "server")]
    )

    server = (
        certificate(server_name, server_key.public_key(), ca_name)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(
                ca_key.public_key()
            ),
            critical=False,
        )
        .sign(ca_key, hashes.SHA256())
    )

    pem = serialization.Encoding.PEM
    (files / "ca.crt").write_bytes(ca.public_bytes(pem))
    (files / "tls.crt").write_bytes(server.public_bytes(pem))
    (files / "tls.key").write_bytes(
        server_key.private_bytes(
            pem,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def certificate(
    subject: x509.Name, key: ec.EllipticCurvePublicKey, issuer: x509.Name
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
    )


def usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )
