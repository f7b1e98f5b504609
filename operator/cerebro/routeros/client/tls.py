"""How a connection to the API is encrypted: `spec.api.tls` of a Device as an
SSL context.
"""

import ssl
from dataclasses import dataclass
from typing import Literal

from cerebro.routeros.client.errors import SecretError


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """`ca`: PEM text of the authorities to trust [the system's], `server_name`
    [the address]: for Verify.

    `mode` is kept to: what fails with Verify is never tried with less.
    """

    mode: Literal["Disabled", "Verify", "Insecure"] = "Disabled"
    ca: str | None = None
    server_name: str | None = None


def ssl_context(tls: TlsSettings) -> ssl.SSLContext | None:
    """The context for a connection; None without TLS. Blocks shortly: it may
    read the system's certificates.

    Raises SecretError when the CA is no PEM text.
    """

    if tls.mode == "Disabled":
        return None

    if tls.mode == "Verify":
        try:
            if tls.ca is None:
                return ssl.create_default_context()

            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(cadata=tls.ca)
        except (ssl.SSLError, ValueError) as error:
            raise SecretError(
                "the Secret of api.tls.caSecretRef holds no CA certificate: put PEM text under its key ca.crt"
            ) from error

        return context

    # A service without a certificate offers anonymous Diffie-Hellman only; one
    # with a certificate takes one of the others, which stand first, so that
    # one handshake serves both.
    return _believing("ALL:+aNULL:@SECLEVEL=0")


def anonymous_context() -> ssl.SSLContext:
    """Return a context for a service without a certificate, and for no other:
    whoever completes a handshake with it has none.
    """
    return _believing("ADH:@SECLEVEL=0")


def _believing(ciphers: str) -> ssl.SSLContext:
    """Return a context that believes whoever answers.

    Anonymous Diffie-Hellman ended with TLS 1.2, and OpenSSL allows it at its
    security level 0 only.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(ciphers)

    return context
