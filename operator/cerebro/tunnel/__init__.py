"""The keeper of userspace interfaces (E2): starts wireguard-go, starts it
again when it dies, and drops it in time.

It listens on a Unix socket for lines of JSON, and answers each with one line:

    {"ensure": "wg0", "mtu": 1420, "deadline": 7012.5}  carry it {"refresh":
    "wg0", "deadline": 7017.5}              carry it for longer, if it is there
    {"drop": "wg0"}                                     drop it {"list": true}
    {"ok": true, "interfaces": {"wg0": {"deadline_in": 11.9}}}

An interface is dropped at its `deadline` (E4), a time of CLOCK_BOOTTIME, which
all processes of a node share: a request that was held up on its way makes
nothing longer, and one whose deadline has passed is refused. Null means no
watchdog. The answer is `{"ok": true}` or `{"ok": false, "reason": ...,
"message": ...}`. Interfaces live as long as this process: it never outlives
them, nor they it, also when it is killed. It knows neither Kubernetes nor
WireGuard's configuration; keys and peers are the agent's.
"""
