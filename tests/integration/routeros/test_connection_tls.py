"""TLS modes against OpenSSL's server side, with throw-away certificates. The router behind them is scripted."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cerebro.routeros.client.command import Command
from cerebro.routeros.client.connection import connect
from cerebro.routeros.client.errors import (
    ConnectionLost,
    SecretError,
    Unreachable,
)
from cerebro.routeros.client.tls import TlsSettings

if TYPE_CHECKING:
    from integration.routeros.conftest import Caller, Serve

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


@pytest.mark.parametrize(
    ("with_ca", "server_name"), [(False, None), (True, "other.test")]
)
async def test_verify_refuses_what_it_cannot_trust(
    serve: Serve,
    folder: Path,
    with_certificate: ssl.SSLContext,
    with_ca: bool,
    server_name: str | None,
) -> None:
    router = await serve(script, with_certificate)
    ca = (folder / "cert.pem").read_text() if with_ca else None
    with pytest.raises(Unreachable, match=r"api\.tls\.caSecretRef") as caught:
        await works(router.port, TlsSettings("Verify", ca, server_name))
    assert caught.value.reason == "CertificateNotTrusted"


async def test_verify_refuses_an_anonymous_router(
    serve: Serve, folder: Path, anonymous: ssl.SSLContext
) -> None:
    router = await serve(script, anonymous)
    with pytest.raises(Unreachable) as caught:
        await works(
            router.port,
            TlsSettings("Verify", (folder / "cert.pem").read_text()),
        )
    assert caught.value.reason == "TLSFailed"


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
