"""The service `api-ssl`, with librouteros and OpenSSL's own verdict."""

import asyncio
import ssl
import subprocess
from pathlib import Path

import librouteros
import pytest

from integration.simulator.conftest import Connect, MakeRouter
from simulator import Router


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `cert.pem`, which is its own authority, and `key.pem`."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-nodes"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2"),
            *("-subj", "/CN=router.test"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(folder / "key.pem")),
            *("-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    return folder


def without_certificate() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def anonymous() -> ssl.SSLContext:
    context = without_certificate()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ADH:@SECLEVEL=0")
    return context


async def identity(
    router: Router, context: ssl.SSLContext
) -> tuple[dict[str, object], ...]:
    """Return what a client with this context reads."""

    def read() -> tuple[dict[str, object], ...]:
        api = librouteros.connect(
            "127.0.0.1",
            port=router.port,
            username="cerebro",
            password="secret",
            ssl_wrapper=lambda sock: context.wrap_socket(
                sock, server_hostname="127.0.0.1"
            ),
            timeout=60,
        )
        try:
            return tuple(api.path("system", "identity"))
        finally:
            api.close()

    return await asyncio.to_thread(read)


async def test_with_a_certificate(
    make_router: MakeRouter, certificate: Path
) -> None:
    """Point 48: it is verified, and refused by who does not know it."""
    router = await make_router(
        tls="certificate",
        certificate=str(certificate / "cert.pem"),
        key=str(certificate / "key.pem"),
    )
    trusting = ssl.create_default_context(cafile=certificate / "cert.pem")
    assert await identity(router, trusting) == ({"name": "MikroTik"},)
    with pytest.raises(ssl.SSLCertVerificationError):
        await identity(router, ssl.create_default_context())


async def test_anonymous(make_router: MakeRouter) -> None:
    """Point 48: to verify nothing is not enough, the cipher is another one."""
    router = await make_router(tls="anonymous")
    assert await identity(router, anonymous()) == ({"name": "MikroTik"},)
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        await identity(router, without_certificate())


async def test_in_clear_to_a_port_that_speaks_tls(
    make_router: MakeRouter, connect: Connect
) -> None:
    """Point 48: the connection closes without an answer of the API."""
    wire = await connect(await make_router(tls="anonymous"))
    wire.send("/login", "=name=cerebro", "=password=secret")
    assert (await wire.texts())[0] not in {"!done", "!trap", "!fatal"}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"tls": "yes"}, "tls"),
        ({"tls": "certificate"}, "certificate"),
        ({"certificate": "x.pem"}, "certificate"),
    ],
)
async def test_wrong_options_of_tls_are_named(
    make_router: MakeRouter, options: dict[str, str], field: str
) -> None:
    with pytest.raises(ValueError, match=f"^{field}: expects"):
        await make_router(**options)
