"""Everything that the OpenAPI page lists, called by schemathesis: what it says is so, and nothing brings a fault about.

Real: the bridge as a process, the API server, the agent. Faked: the router, by the simulator. The calls
are bounded in number, and the same each time; CEREBRO_TEST_LONG=1 makes more of them.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from controlplane.server import ControlPlane
from integration.agent.conftest import simulator
from integration.agent.process import Proxy
from integration.agent.relay import Relay
from integration.bridge.caller import Caller
from integration.bridge.process import SECRET, TOKEN, BridgeProcess

__all__ = ["simulator"]

INTERNAL_TOKEN = "internal-token-0123456789"
LONG = os.environ.get("CEREBRO_TEST_LONG") == "1"
EXAMPLES = 100 if LONG else 6
"""Made-up calls of an endpoint, besides those that cover each bound of each field."""
SEED = 20_261_129
PROCESSES = 4
"""Of schemathesis, each with a share of the paths: they wait for answers most of the time."""
TESTS = Path(__file__).parents[2]

KNOWN = {
    "mikId": ["R1"],
    "router": ["R1"],
    "identity": ["R1"],
    "routerHint": ["R1"],
    "deviceToken": ["t-1", "t-2"],
    "sid": ["t-1", "R1"],
    "sessionId": ["s-1", "s-2"],
    "pedidoId": ["P-1", "P-2", "trial:1"],
    "ip": ["10.5.50.10", "10.5.50.11"],
    "ipAtual": ["10.5.50.10"],
    "mac": ["AA:BB:CC:DD:EE:01", "AA:BB:CC:DD:EE:02"],
    "macAtual": ["AA:BB:CC:DD:EE:01"],
    "target": ["192.0.2.1"],
    "user": ["guest"],
    "username": ["guest"],
    "profile": ["default"],
}
"""Values of fields that lead past the look-up of a router or a phone; half of the calls have them."""

CONFIG = """
[checks.not_a_server_error]
# Those that the page has; `no_undocumented_fault` says which of them may be.
expected-statuses = ["2xx", "4xx", "500", "501", "502", "503", "504"]

"""


@pytest.fixture
def relay(
    control_plane: ControlPlane,
    simulator: str,
    tmp_path: Path,
) -> Iterator[Relay]:
    """A namespace with a Hub, and with the Device R1 of a simulated router, whose agent runs."""
    relay = Relay(control_plane, simulator, tmp_path)
    try:
        relay.router(device={"routerID": "R1", "commands": "All"})
        make_hub(relay)
        agent = relay.agent().start()
        relay.until(agent.ready, "the agent is ready", agent.output)
        yield relay
    finally:
        relay.close()


def make_hub(relay: Relay) -> None:
    """Make a Hub of a node where no agent runs, so that no key ever gets onto its interface."""
    spec = {
        "nodeName": "another-node",
        "addresses": ["10.8.0.1/16"],
        "endpoint": "vpn.example.org:51820",
    }
    relay.apply({"kind": "Hub", "metadata": {"name": "hub"}, "spec": spec})
    status = json.dumps({"status": {"publicKey": "h" * 42 + "A="}})
    relay.kubectl(
        *("patch", "hub", "hub", "--subresource=status", "--type=merge"),
        *("-p", status),
    )


@pytest.fixture
def start(
    relay: Relay, control_plane: ControlPlane, tmp_path: Path
) -> Iterator[Callable[..., BridgeProcess]]:
    """Call it to start a bridge that refuses nobody for calling often; `server` may be a proxy."""
    running: list[BridgeProcess] = []

    def start(
        *, server: str | None = None, **environment: str
    ) -> BridgeProcess:
        kubeconfig = control_plane.account_kubeconfig(
            "cerebro-operator", relay.namespace, server=server
        )
        settings = {
            "KUBECONFIG": str(kubeconfig),
            "RELAY_INTERNAL_TOKEN": INTERNAL_TOKEN,
            "METRICS_TOKEN": "metrics-token",  # none: /metrics is open on this host
            "RELAY_RATE_LIMIT": "1000000",
            "CEREBRO_REFUSAL_LIMIT": "1000000",
            **environment,
        }
        process = BridgeProcess(tmp_path, settings, relay.namespace)
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        print(process.output()[-20_000:])


@pytest.mark.timeout(1800 if LONG else 600)
async def test_what_the_page_says_of_each_endpoint_is_so(
    start: Callable[..., BridgeProcess], tmp_path: Path
) -> None:
    process = start(RELAY_ANSWER_TIMEOUT_MS="1000")
    await write_page(process, tmp_path)
    await fuzz(process, tmp_path, "--max-examples", str(EXAMPLES))


async def test_the_page_says_what_is_answered_while_kubernetes_is_away(
    start: Callable[..., BridgeProcess],
    control_plane: ControlPlane,
    tmp_path: Path,
) -> None:
    """Each example, and a few made-up calls, while the API server takes no connection."""
    with Proxy(control_plane) as proxy:
        process = start(server=proxy.faults.url, RELAY_ANSWER_TIMEOUT_MS="300")
        await write_page(process, tmp_path)
        proxy.refuse()
        async with Caller(process) as caller:
            reboot = {"mikId": "R1", "sentences": ["/system/reboot"]}
            answer = await caller.post("/relay/exec2", reboot)
        assert answer.status_code == 503, "surely nothing was run"
        assert answer.json()["code"] == "kubernetes_unavailable"
        await fuzz(
            process,
            tmp_path,
            *("--phases", "examples,fuzzing"),
            *("--max-examples", str(EXAMPLES // 4)),
        )


async def write_page(process: BridgeProcess, folder: Path) -> None:
    """Write the page of a bridge that knows all objects, and what schemathesis is to know besides."""
    async with Caller(process) as caller:
        await caller.until_complete()
        page = await caller.get("/openapi.json", **{"x-relay-token": TOKEN})
    (folder / "openapi.json").write_bytes(page.content)
    (folder / "schemathesis.toml").write_text(CONFIG + dictionaries())


async def fuzz(process: BridgeProcess, folder: Path, *words: str) -> None:
    """Run schemathesis against a bridge: all is as its page says, and the bridge still runs."""
    page = json.loads((folder / "openapi.json").read_bytes())
    paths = sorted(page["paths"])
    shares = [paths[start::PROCESSES] for start in range(PROCESSES)]
    runs = await asyncio.gather(
        *(run(process.url, folder, share, words) for share in shares)
    )
    for _, report in runs:
        print(report)
    assert [status for status, _ in runs] == [0] * PROCESSES
    assert process.runs(), process.output()[-4_000:]
    assert "a request failed" not in process.output()


async def run(
    url: str, folder: Path, paths: list[str], more: Sequence[str]
) -> tuple[int | None, str]:
    """Run schemathesis against a bridge; return its status, which is 0 if all is as the page says, and its report.

    It has one thread: in two of them Python 3.11 confuses the depth of what it parses ("AST constructor recursion depth
    mismatch").
    """
    words = [
        *("--config-file", "schemathesis.toml"),
        *("run", "openapi.json", "--url", url),
        *("--checks", "all"),
        *("--seed", str(SEED)),
        *("--workers", "1", "--continue-on-failure", "--no-color"),
        *("--suppress-health-check", "all", "--request-timeout", "30"),
        *("--generation-with-security-parameters", "false"),
        "--generation-deterministic",
        *(f"--include-path={path}" for path in paths),
        *more,
    ]
    if not LONG:
        words.append("--no-shrink")
    child = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"),
        *words,
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(TESTS),
            "SCHEMATHESIS_HOOKS": "integration.bridge.fuzzing",
            "FUZZING_TOKEN": TOKEN,
            "FUZZING_SECRET": SECRET,
            "FUZZING_INTERNAL_TOKEN": INTERNAL_TOKEN,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await child.communicate()
    return child.returncode, output.decode()


def dictionaries() -> str:
    """KNOWN in schemathesis' own form."""
    lines = [
        f"[dictionaries.{name}]\nvalues = {json.dumps(values)}"
        for name, values in KNOWN.items()
    ]
    lines.append("[parameters]")
    lines += [
        f'"{place}{name}" = {{ dictionary = "{name}", probability = 0.5 }}'
        for name in KNOWN
        for place in ("body.", "")
    ]
    return "\n".join(lines)


ODD_REQUESTS: list[tuple[bytes, bytes, int]] = [
    (b"GET /session/%00 HTTP/1.1", b"", 404),
    (b"GET /session/%ff%fe HTTP/1.1", b"", 401),
    (b"GET /session/" + b"a" * 600 + b" HTTP/1.1", b"", 404),
    (b"GET /session/..%2f..%2fetc HTTP/1.1", b"", 404),
    (b"GET /relay/identity/status?sid=%ff%00&sid HTTP/1.1", b"", 401),
    (b"GET /relay/health HTTP/1.1", b"x-request-id: \xff\x80", 200),
    (b"GET /relay/health HTTP/1.1", b"x-forwarded-for: \xff, ,,", 200),
    (b"GET /relay/health HTTP/1.1", b"authorization: Bearer \xe9\xff", 200),
    (b"GET /relay/health HTTP/1.1", b"accept: \x80/\xff;q=\xfe", 200),
    (b"GET /relay/health HTTP/1.0", b"", 200),
    (b"BREW /relay/health HTTP/1.1", b"", 405),
    (b"HEAD /relay/health HTTP/1.1", b"", 405),
    (b"POST /relay/revoke HTTP/1.1", b"x-relay-nonce: \xff\xfe\xff\xfe\xff\xfe\xff\xfe", 401),
    (b"POST /relay/revoke HTTP/1.1", b"x-relay-ts: \xb2\xb3", 401),
    (b"POST /relay/revoke HTTP/1.1", b"content-length: 99999999999999999999", 413),
]  # fmt: skip
"""First lines and a header of requests with a good token, and the status of the answer."""


async def test_odd_bytes_bring_no_fault_about(bridge: Caller) -> None:
    """What no client library would send: odd methods, escapes, and bytes that are no ASCII in headers."""
    for first_line, header, status in ODD_REQUESTS:
        host, port = "127.0.0.1", bridge.process.port
        lines = (
            first_line,
            b"host: bridge",
            f"x-relay-token: {TOKEN}".encode(),
            b"connection: close",
            *([header] if header else []),
        )
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"\r\n".join(lines) + b"\r\n\r\n")
        answer = await reader.read()
        writer.close()
        assert answer.split(b" ")[1] == str(status).encode(), (
            first_line,
            header,
            answer,
        )
    assert "Traceback" not in bridge.process.output()
    assert (await bridge.get("/health")).json() == {"status": "ok"}


async def test_a_wrong_method_is_told_all_the_right_ones(
    bridge: Caller,
) -> None:
    for path, method, allowed in (
        ("/hotspot/active", "DELETE", "POST, GET"),
        ("/relay/ping", "PUT", "POST, GET"),
        ("/relay/revoke", "GET", "POST"),
        ("/session/active", "POST", "GET"),
        ("/metrics", "POST", "GET"),
        ("/health", "DELETE", "GET"),
    ):
        headers = bridge.signed(path, b"", method=method)
        answer = await bridge.raw(path, b"", headers, method)
        assert answer.status_code == 405, (path, answer.text)
        assert answer.json()["code"] == "method_not_allowed"
        expected = set(allowed.split(", "))
        assert set(answer.headers["allow"].split(", ")) == expected
