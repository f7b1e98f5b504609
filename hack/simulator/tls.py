"""TLS of the service `api-ssl`: with a certificate, or anonymous, as a router
without one offers it.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from simulator.options import RouterOptions

ANONYMOUS_CIPHERS = "ADH:@SECLEVEL=0"
GROUP = Path(__file__).with_name("ffdhe2048.pem")
"""The group of RFC 7919, so that no router has to make its own."""


def server_context(options: RouterOptions) -> ssl.SSLContext | None:
    """Return what a listener encrypts with; None where it speaks in clear.

    Raises OSError when the certificate or its key cannot be read.
    """
    if options.tls == "off":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if options.tls == "certificate":
        context.load_cert_chain(options.certificate, options.key or None)
        return context
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(ANONYMOUS_CIPHERS)
    context.load_dh_params(str(GROUP))
    return context
