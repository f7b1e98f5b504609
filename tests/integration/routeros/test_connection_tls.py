"""TLS modes against OpenSSL's server side, with throw-away certificates. The router behind them is scripted."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from cerebro.routeros.client.command import Command
from cerebro.routeros.client.connection import connect
from cerebro.routeros.client.errors import (
    ConnectionLost,
    SecretError,
    Unreachable,
)
from cerebro.routeros.client.tls import TlsSettings
from integration.routeros.clock import until

if TYPE_CHECKING:
    from integration.routeros.conftest import Caller, ScriptedRouter, Serve

CREDENTIALS = [("user", "pass")]


def openssl(*arguments: str, folder: Path) -> None:
    subprocess.run(
        ["openssl", *arguments], cwd=folder, check=True, capture_output=True
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 and router.test, and Diffie-Hellman parameters."""
    folder = tmp_path_factory.mktemp("tls")
    request = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=router -keyout key.pem -out cert.pem"
    openssl(
        *request.split(),
        "-addext",
        "subjectAltName=IP:127.0.0.1,DNS:router.test",
        folder=folder,
    )
    openssl(
        *[
            "genpkey",
            "-genparam",
            "-algorithm",
            "DH",
            "-pkeyopt",
            "group:ffdhe2048",
            "-out",
            "dh.pem",
        ],
        folder=folder,
    )
    return folder


@pytest.fixture
def with_certificate(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


@pytest.fixture
def anonymous(folder: Path) -> ssl.SSLContext:
    """As api-ssl with certificate=none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ADH:@SECLEVEL=0")
    context.load_dh_params(str(folder / "dh.pem"))
    return context


class Authority:
    """An authority of its own, and certificates for 127.0.0.1 that it signs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = self._name("authority")
        signed = (
            self._certificate(name, self._key, first_day=-9, days=20)
            .add_extension(x509.BasicConstraints(True, None), critical=True)
            .sign(self._key, SHA256())
        )
        self.pem = signed.public_bytes(Encoding.PEM).decode()

    def server(self, first_day: int) -> ssl.SSLContext:
        """Return what a router encrypts with; its certificate is valid for a day, from `first_day` on (0: today)."""
        key = ec.generate_private_key(ec.SECP256R1())
        here = x509.IPAddress(ip_address("127.0.0.1"))
        signed = (
            self._certificate(self._name("router"), key, first_day, days=1)
            .add_extension(x509.SubjectAlternativeName([here]), critical=False)
            .sign(self._key, SHA256())
        )
        path = self._folder / f"server{first_day}.pem"
        path.write_bytes(
            key.private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            )
            + signed.public_bytes(Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _certificate(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        first_day: int,
        days: int,
    ) -> x509.CertificateBuilder:
        start = datetime.now(UTC) - timedelta(hours=1)
        start += timedelta(days=first_day)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name("authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=days))
        )

    @staticmethod
    def _name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


async def script(caller: Caller) -> None:
    await caller.let_in()
    await caller.serve()


async def works(port: int, tls: TlsSettings) -> bool:
    async with await connect(
        "127.0.0.1", port, CREDENTIALS, tls, timeout=60
    ) as session:
        replies = await session.run_all(
            [Command("/x", "set", {"big": "x" * 20_000})] * 200,
            return_traps=False,
        )
        return {reply.ret for reply in replies} == {"=big=" + "x" * 20_000}


async def test_verify_with_the_right_ca(
    serve: Serve, folder: Path, with_certificate: ssl.SSLContext
) -> None:
    router = await serve(script, with_certificate)
    ca = (folder / "cert.pem").read_text()
    assert await works(router.port, TlsSettings("Verify", ca))
    assert await works(router.port, TlsSettings("Verify", ca, "router.test"))


def heard(router: ScriptedRouter) -> list[list[str]]:
    """Return every sentence that the router was sent."""
    return [words for caller in router.callers for words in caller.seen]


async def refusal(port: int, tls: TlsSettings) -> tuple[str, str]:
    """Return reason and text of a connection that is refused."""
    with pytest.raises(Unreachable) as caught:
        await works(port, tls)
    return caught.value.reason, str(caught.value)


async def test_verify_refuses_an_authority_that_it_does_not_know(
    serve: Serve, with_certificate: ssl.SSLContext, folder: Path
) -> None:
    router = await serve(script, with_certificate)
    other = Authority(folder).pem
    for ca in (None, other):
        reason, text = await refusal(router.port, TlsSettings("Verify", ca))
        assert reason == "CertificateNotTrusted"
        assert "api.tls.caSecretRef" in text
    assert heard(router) == []


async def test_verify_refuses_another_name(
    serve: Serve, with_certificate: ssl.SSLContext, folder: Path
) -> None:
    router = await serve(script, with_certificate)
    ca = (folder / "cert.pem").read_text()
    for name in ("other.test", "192.0.2.1"):
        tls = TlsSettings("Verify", ca, name)
        reason, text = await refusal(router.port, tls)
        assert reason == "CertificateForAnotherName"
        assert "api.tls.serverName" in text
    assert heard(router) == []


@pytest.mark.parametrize(
    ("first_day", "reason"),
    [(-2, "CertificateExpired"), (2, "CertificateNotYetValid")],
)
async def test_verify_refuses_a_certificate_of_another_time(
    serve: Serve, folder: Path, first_day: int, reason: str
) -> None:
    authority = Authority(folder)
    router = await serve(script, authority.server(first_day))
    told, text = await refusal(
        router.port, TlsSettings("Verify", authority.pem)
    )
    assert told == reason
    assert "router" in text
    assert heard(router) == []


async def test_verify_takes_a_certificate_that_the_authority_signed(
    serve: Serve, folder: Path
) -> None:
    authority = Authority(folder)
    router = await serve(script, authority.server(first_day=0))
    assert await works(router.port, TlsSettings("Verify", authority.pem))


async def test_verify_refuses_an_anonymous_router(
    serve: Serve, folder: Path, anonymous: ssl.SSLContext
) -> None:
    """It says so, and gives such a router no password."""
    router = await serve(script, anonymous)
    ca = (folder / "cert.pem").read_text()
    reason, text = await refusal(router.port, TlsSettings("Verify", ca))
    assert reason == "NoCertificate"
    assert "/ip/service/set api-ssl certificate=" in text
    assert heard(router) == []


async def test_insecure_takes_any_certificate(
    serve: Serve, with_certificate: ssl.SSLContext
) -> None:
    router = await serve(script, with_certificate)
    assert await works(router.port, TlsSettings("Insecure"))


async def test_insecure_takes_anonymous_diffie_hellman(
    serve: Serve, anonymous: ssl.SSLContext
) -> None:
    """1.10: what api-ssl offers without a certificate."""
    router = await serve(script, anonymous)
    assert await works(router.port, TlsSettings("Insecure"))


async def test_tls_towards_a_plain_port(serve: Serve) -> None:
    async def plain(caller: Caller) -> None:
        await caller.reader.read(10)

    router = await serve(plain)
    with pytest.raises(Unreachable, match="api-ssl") as caught:
        await works(router.port, TlsSettings("Insecure"))
    assert caught.value.reason == "TLSFailed"


async def test_plain_towards_a_tls_port(
    serve: Serve, with_certificate: ssl.SSLContext
) -> None:
    router = await serve(script, with_certificate)
    with pytest.raises(ConnectionLost):
        await works(router.port, TlsSettings())


@pytest.mark.parametrize(
    "ca",
    [
        "",
        "no PEM",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ],
)
async def test_a_ca_that_is_none_names_the_secret(ca: str) -> None:
    with pytest.raises(SecretError, match=r"caSecretRef.*ca\.crt"):
        await connect("127.0.0.1", 1, CREDENTIALS, TlsSettings("Verify", ca))


# --- the end of a connection


@pytest.mark.parametrize("mode", ["Disabled", "Insecure"])
async def test_b11_what_was_not_taken_yet_is_not_sent_after_the_end(
    serve: Serve,
    with_certificate: ssl.SSLContext,
    mode: Literal["Disabled", "Insecure"],
) -> None:
    """The peer takes a command that is larger than the kernel's buffers no further than it had come."""
    given_up = asyncio.Event()
    ends: list[type[BaseException] | None] = []
    sizes: list[int] = []

    async def script(caller: Caller) -> None:
        await caller.let_in()
        caller.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await given_up.wait()
        caller.writer.transport.resume_reading()  # type: ignore[attr-defined]

        size, end = 0, None
        try:
            while data := await caller.reader.read(1 << 16):
                size += len(data)
        except ConnectionResetError as error:
            end = type(error)
        sizes.append(size)
        ends.append(end)

    router = await serve(
        script, None if mode == "Disabled" else with_certificate
    )
    session = await connect(
        "127.0.0.1", router.port, CREDENTIALS, TlsSettings(mode), timeout=1
    )
    large = Command("/system/script", "add", {"source": "x" * (1 << 24)})
    with pytest.raises(ConnectionLost):
        await session.run(large)
    given_up.set()

    await until(lambda: bool(ends))
    assert ends == [ConnectionResetError]
    assert sizes < [1 << 24]
