"""Why no connection to a router could be made, in words that say what to do.
Pure.
"""

from __future__ import annotations

import socket
import ssl

from cerebro.routeros.client.errors import Unreachable, printable
from cerebro.routeros.client.tls import TlsSettings

NO_CERTIFICATE = "NoCertificate"

GIVE_CERTIFICATE = (
    "the service api-ssl has no certificate, and api.tls.mode is Verify: give it one on the router "
    "(/ip/service/set api-ssl certificate=...) with the name of api.tls.serverName, or the address, in "
    "subject-alt-name. Nothing was sent to it; api.tls.mode: Insecure would believe whoever answers"
)

_NOT_TRUSTED = (
    "CertificateNotTrusted",
    "put the certificate of the authority that signed it in the Secret of api.tls.caSecretRef, under its key ca.crt",
)
_OTHER_NAME = (
    "CertificateForAnotherName",
    "write a name that the certificate carries in api.tls.serverName, or put this one into its subject-alt-name",
)
_EXPIRED = (
    "CertificateExpired",
    "renew it on the router (/certificate), or its authority's in the Secret of api.tls.caSecretRef",
)
_NOT_YET_VALID = (
    "CertificateNotYetValid",
    "see that the clocks of this node and of the router that made the certificate are right",
)
_BY_CODE = {
    9: _NOT_YET_VALID,
    10: _EXPIRED,
    62: _OTHER_NAME,
    64: _OTHER_NAME,
}
"""Reason and next step by the code of OpenSSL's verification (its
x509_vfy.h): 62 is a host name that does not fit, 64 an IP address.
"""

_NO_HANDSHAKE = (
    "see that this is the port of the service api-ssl, and that the service takes this node's address "
    "(/ip/service/print on the router)"
)


def may_lack_certificate(tls: TlsSettings, error: Exception) -> bool:
    """Return whether a handshake that failed may have failed since the router
    has no certificate: it then resets the connection, or finds no cipher.
    """
    if tls.mode != "Verify" or isinstance(error, ssl.SSLCertVerificationError):
        return False

    return isinstance(error, ssl.SSLError | ConnectionResetError)


def unreachable(where: str, error: Exception, seconds: float) -> Unreachable:
    """Return the error that says what to look at, for what came up while
    connecting to `where` within `seconds`.
    """

    # The order matters, as most of these derive from OSError.
    match error:
        case ssl.SSLCertVerificationError():
            reason, text = _of_certificate(error)
        case ssl.SSLError() | ConnectionResetError():
            reason = "TLSFailed"
            text = f"no TLS handshake ({error}): {_NO_HANDSHAKE}"
        case TimeoutError():
            reason, text = (
                "ConnectTimeout",
                f"no connection within {seconds:g} s",
            )
        case ConnectionRefusedError():
            reason, text = (
                "ConnectionRefused",
                "refused; does the service api listen there for this address?",
            )
        case socket.gaierror() | UnicodeError():
            reason, text = (
                "NameNotResolved",
                "the name is not known; check api.address",
            )
        case OSError():
            reason, text = "NoRoute", error.strerror or str(error)
        case _:
            reason, text = (
                "BadAddress",
                f"{error}; check api.address and api.tls.serverName",
            )

    return Unreachable(reason, f"{where}: {text}")


def _of_certificate(error: ssl.SSLCertVerificationError) -> tuple[str, str]:
    """Return reason and text for a certificate that was refused."""
    reason, next_step = _BY_CODE.get(error.verify_code, _NOT_TRUSTED)

    return reason, f"{printable(error.verify_message)}: {next_step}"
