"""Certificates, keys, tokens and kubeconfig files of a control plane of one's
own, made with openssl.
"""

import base64
import json
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

OPENSSL_TIMEOUT = 60.0
DAYS = "3650"
NAMES = "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:kubernetes.default.svc"
"""Of every server; one on a node has further addresses."""


@dataclass(frozen=True)
class Credentials:
    """Files that the API server needs, all below one folder, and the
    administrator's token.
    """

    ca: Path
    certificate: Path
    key: Path
    service_account_key: Path
    tokens: Path
    admin_token: str


def make_credentials(
    folder: Path, *, addresses: Sequence[str] = ()
) -> Credentials:
    """Make everything anew in `folder`. `addresses` are those of the API
    server, besides loopback. Raises RuntimeError when openssl is missing or
    fails.
    """
    if shutil.which("openssl") is None:
        raise RuntimeError(
            "openssl is needed for the control plane's certificates: install the package openssl"
        )
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    ca, certificate, key = _make_certificates(folder, addresses)
    account_key = folder / "service-account.key"
    _openssl(
        "ecparam",
        "-genkey",
        "-name",
        "prime256v1",
        "-noout",
        "-out",
        str(account_key),
    )
    token = secrets.token_urlsafe(32)
    tokens = folder / "tokens.csv"
    tokens.write_text(f'{token},admin,admin,"system:masters"\n')
    tokens.chmod(0o600)
    return Credentials(ca, certificate, key, account_key, tokens, token)


def _make_certificates(
    folder: Path, addresses: Sequence[str]
) -> tuple[Path, Path, Path]:
    """Make a certificate authority and the API server's certificate; return
    both certificates and the server's key.
    """
    ca, ca_key = folder / "ca.crt", folder / "ca.key"
    certificate, key, request = (
        folder / "server.crt",
        folder / "server.key",
        folder / "server.csr",
    )
    extensions = folder / "server.ext"
    names = ",".join([NAMES, *(f"IP:{address}" for address in addresses)])
    extensions.write_text(f"{names}\nextendedKeyUsage=serverAuth\n")
    _openssl(
        "req",
        "-x509",
        *_new_key(ca_key),
        "-subj",
        "/CN=cerebro-local-ca",
        "-days",
        DAYS,
        "-out",
        str(ca),
    )
    _openssl(
        "req",
        *_new_key(key),
        "-subj",
        "/CN=kube-apiserver",
        "-out",
        str(request),
    )
    _openssl(
        *(
            "x509",
            "-req",
            "-in",
            str(request),
            "-CA",
            str(ca),
            "-CAkey",
            str(ca_key),
            "-CAcreateserial",
        ),
        *(
            "-days",
            DAYS,
            "-extfile",
            str(extensions),
            "-out",
            str(certificate),
        ),
    )
    return ca, certificate, key


def write_kubeconfig(
    path: Path,
    *,
    server: str,
    ca: Path,
    token: str,
    namespace: str = "default",
) -> Path:
    """Write a kubeconfig (JSON is YAML) that reaches `server` with a token;
    readable by its owner only.
    """
    authority = base64.b64encode(ca.read_bytes()).decode()
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "local",
                "cluster": {
                    "server": server,
                    "certificate-authority-data": authority,
                },
            },
        ],
        "users": [{"name": "local", "user": {"token": token}}],
        "contexts": [
            {
                "name": "local",
                "context": {
                    "cluster": "local",
                    "user": "local",
                    "namespace": namespace,
                },
            },
        ],
        "current-context": "local",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=1))
    return path


def redirect_kubeconfig(source: Path, target: Path, server: str) -> Path:
    """A copy of the kubeconfig `source` in `target` that goes to another
    server, such as a proxy.
    """
    content = json.loads(source.read_text())
    for cluster in content["clusters"]:
        cluster["cluster"]["server"] = server
        if server.startswith("http://"):
            cluster["cluster"].pop("certificate-authority-data", None)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch(mode=0o600)
    target.write_text(json.dumps(content, indent=1))
    return target


def _new_key(path: Path) -> tuple[str, ...]:
    return (
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-keyout",
        str(path),
    )


def _openssl(*arguments: str) -> None:
    done = subprocess.run(
        ["openssl", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=OPENSSL_TIMEOUT,
    )
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr.strip()}")
