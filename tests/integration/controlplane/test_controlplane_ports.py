"""Ports that are drawn for servers of later: nobody else gets them meanwhile."""

import socket

import pytest

from controlplane.processes import _port_range, free_port


def test_each_port_is_given_once_also_while_nobody_listens_on_it() -> None:
    ports = [free_port() for _ in range(300)]
    assert len(set(ports)) == 300


def test_one_that_somebody_listens_on_is_not_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        monkeypatch.setattr(
            "controlplane.processes._port_range",
            lambda *_: range(taken, taken + 1),
        )
        with pytest.raises(OSError, match="no free port"):
            free_port()


@pytest.mark.parametrize(
    "ephemeral", [(32768, 60999), (1024, 60999), (10000, 60000), (1024, 65535)]
)
def test_workers_share_what_outgoing_connections_leave(
    ephemeral: tuple[int, int],
) -> None:
    parts = [_port_range(*ephemeral, worker, 4) for worker in range(4)]
    ports = [port for part in parts for port in part]
    assert len(set(ports)) == len(ports)
    assert all(len(part) >= 1000 for part in parts)
    assert all(1024 < port <= 65535 for port in ports)
    if ephemeral != (1024, 65535):
        assert not set(ports) & set(range(ephemeral[0], ephemeral[1] + 1))
