"""The keeper of userspace interfaces (E2): starts wireguard-go, starts it again when it dies, drops it in time.

It listens on a Unix socket for lines of JSON, and answers each with one line:

    {"ensure": "wg0", "mtu": 1420, "deadline": 12.5}    have it; dropped in 12.5 s unless this comes again (E4)
    {"drop": "wg0"}                                     stop it
    {"list": true}                                      {"ok": true, "interfaces": {"wg0": {"deadline_in": 11.9}}}

`deadline` null means no watchdog. The answer is `{"ok": true}` or `{"ok": false, "reason": ..., "message": ...}`.
Interfaces live as long as this process: it never outlives them, nor they it, also when it is killed. It knows
neither Kubernetes nor WireGuard's configuration; keys and peers are the agent's.
"""
