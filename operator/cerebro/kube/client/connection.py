"""Where the API server is and who we are there: from a kubeconfig file or from
the pod's service account.

It reads files and opens no connection. Files are read anew whenever headers or
a TLS context are asked for, so that a rotated token or CA is taken up. No repr
shows a credential.
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Folder that the kubelet fills in a pod with a service account."""


class ConfigError(Exception):
    """The configuration of the connection cannot be used; the message names
    the file and the field.
    """


@dataclass(frozen=True)
class Connection:
    """One API server and one identity. Exactly one of token, token_file and
    the certificate pair is usual.
    """

    server: str
    ca_file: Path | None = None
    ca_data: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    certificate: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    insecure: bool = False
    tls_server_name: str | None = None
    namespace: str | None = None

    def headers(self) -> dict[str, str]:
        """Return the Authorization header, with the token as the file has it
        now; {} without a token.

        Raises ConfigError if the token's file cannot be read.
        """
        token = self.token
        if self.token_file is not None:
            try:
                token = self.token_file.read_text("ascii").strip()
            except OSError as error:
                raise ConfigError(
                    f"token file {self.token_file}: {error.strerror}"
                ) from None

        if not token:
            return {}

        return {"Authorization": f"Bearer {token}"}

    def ca_text(self) -> bytes | None:
        """Return the CA's file as it is now; None if the CA is in no file, so
        that it never changes.

        Raises ConfigError if the file cannot be read.
        """
        if self.ca_file is None:
            return None

        try:
            return self.ca_file.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"CA file {self.ca_file}: {error.strerror}"
            ) from None

    def ssl_context(self) -> ssl.SSLContext:
        """Return a TLS context with the CA as it is now. A plain http server
        does not use it.

        Raises ConfigError if the CA or the client's certificate cannot be
        used.
        """

        ca_file = str(self.ca_file) if self.ca_file else None
        try:
            context = ssl.create_default_context(
                cafile=ca_file, cadata=self.ca_data
            )
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"CA certificate of {self.server}: {error}"
            ) from None

        if self.certificate and self.key:
            _load_pair(context, self.certificate, self.key)

        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE

        return context


def load(
    kubeconfig: Path | None = None, *, service_account: Path = SERVICE_ACCOUNT
) -> Connection:
    """Return the connection of the given file, else that of KUBECONFIG, else
    of the pod's service account.

    Raises ConfigError if none of them exists, or if the first that exists
    cannot be used.
    """
    named = os.environ.get("KUBECONFIG")
    if kubeconfig is None and named:
        kubeconfig = Path(named)

    if kubeconfig is not None:
        return from_kubeconfig(kubeconfig)

    return in_cluster(service_account)


def in_cluster(folder: Path = SERVICE_ACCOUNT) -> Connection:
    """Return the connection of the pod's service account. Raises ConfigError
    outside of a pod.
    """

    host = os.environ.get("KUBERNETES_SERVICE_HOST")
    if not host or not (folder / "token").is_file():
        raise ConfigError(
            "no Kubernetes API server known: set KUBECONFIG (or CEREBRO_KUBECONFIG) to a kubeconfig file, "
            f"or run in a pod with a service account ({folder}/token, KUBERNETES_SERVICE_HOST)"
        )

    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    is_ipv6 = ":" in host
    server = (
        f"https://[{host}]:{port}" if is_ipv6 else f"https://{host}:{port}"
    )

    namespace = folder / "namespace"

    return Connection(
        server=server,
        ca_file=folder / "ca.crt",
        token_file=folder / "token",
        namespace=namespace.read_text("utf-8").strip()
        if namespace.is_file()
        else None,
    )


def from_kubeconfig(path: Path) -> Connection:
    """Return the connection of the current context of a kubeconfig file.

    Raises ConfigError if the file cannot be read, or has what we do not
    support, such as plugins that fetch credentials (`exec`).
    """

    try:
        config = yaml.safe_load(path.read_text("utf-8")) or {}
    except OSError as error:
        raise ConfigError(f"kubeconfig {path}: {error.strerror}") from None
    except yaml.YAMLError:
        raise ConfigError(f"kubeconfig {path}: not valid YAML") from None

    if not isinstance(config, dict):
        raise ConfigError(f"kubeconfig {path}: not a mapping")

    context = _named(
        path, config, "contexts", "context", config.get("current-context")
    )

    cluster = _named(
        path, config, "clusters", "cluster", context.get("cluster")
    )

    user = _named(path, config, "users", "user", context.get("user"))

    if not cluster.get("server"):
        raise ConfigError(
            f"kubeconfig {path}: clusters[].cluster.server is missing"
        )

    for unsupported in ("exec", "auth-provider", "username"):
        if unsupported in user:
            raise ConfigError(
                f"kubeconfig {path}: users[].user.{unsupported} is not supported: "
                "use token, tokenFile or a client certificate"
            )

    return Connection(
        server=str(cluster["server"]).rstrip("/"),
        ca_file=_path(path, cluster.get("certificate-authority")),
        ca_data=_pem(path, cluster, "certificate-authority-data", None),
        token=user.get("token"),
        token_file=_path(path, user.get("tokenFile")),
        certificate=_pem(
            path, user, "client-certificate-data", "client-certificate"
        ),
        key=_pem(path, user, "client-key-data", "client-key"),
        insecure=bool(cluster.get("insecure-skip-tls-verify", False)),
        tls_server_name=cluster.get("tls-server-name"),
        namespace=context.get("namespace"),
    )


def _named(
    path: Path, config: dict[str, Any], entries: str, entry: str, name: object
) -> dict[str, Any]:
    """Return what the entry of that name holds in a list of the kubeconfig.
    Raises ConfigError.
    """
    if not name:
        missing = (
            "current-context"
            if entries == "contexts"
            else f"contexts[].context.{entry}"
        )

        raise ConfigError(f"kubeconfig {path}: {missing} is missing")

    for item in config.get(entries) or []:
        if item.get("name") == name:
            return item.get(entry) or {}

    raise ConfigError(
        f"kubeconfig {path}: {entries} has no entry named {name!r}"
    )


def _path(kubeconfig: Path, value: str | None) -> Path | None:
    """Return the path of a file; a relative one begins at the kubeconfig's
    folder, as for kubectl.
    """
    return kubeconfig.parent / value if value else None


def _pem(
    kubeconfig: Path, entry: dict[str, Any], data: str, file: str | None
) -> str | None:
    """Return the PEM text of an entry, from its own field or from the file
    that another field names.

    Returns None if the entry has neither. Raises ConfigError if the text
    cannot be read.
    """
    if entry.get(data):
        try:
            return base64.b64decode(entry[data], validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError, TypeError):
            raise ConfigError(
                f"kubeconfig {kubeconfig}: {data} is not base64 of a PEM text"
            ) from None

    named = _path(kubeconfig, entry.get(file)) if file is not None else None
    if named is None:
        return None

    try:
        return named.read_text("ascii")
    except OSError as error:
        raise ConfigError(
            f"kubeconfig {kubeconfig}: {file}: {error.strerror}"
        ) from None


def _load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Load the pair into a TLS context. ssl takes files only: they live for
    that moment, readable by us alone.

    Raises ConfigError if certificate and key do not fit together.
    """
    with (
        tempfile.NamedTemporaryFile() as first,
        tempfile.NamedTemporaryFile() as second,
    ):
        first.write(certificate.encode("ascii"))
        second.write(key.encode("ascii"))
        first.flush()
        second.flush()

        try:
            context.load_cert_chain(first.name, second.name)
        except ssl.SSLError:
            raise ConfigError(
                "the client certificate and its key do not fit together"
            ) from None
