"""The scripts and schedulers of one router: who may run which, and what the
log says of them.
"""

from __future__ import annotations

from simulator.commands import Call, CommandRouter
from simulator.errors import Trap, no_such_item, not_permitted
from simulator.rights import Rights
from simulator.row import Row
from simulator.script.console import Console, Execute
from simulator.script.evaluate import Steps
from simulator.script.jobs import Job, Jobs
from simulator.script.parser import parse
from simulator.script.run import Interpreter
from simulator.script.scheduler import Scheduler
from simulator.script.tree import Block
from simulator.script.values import ScriptError, Value

SCRIPT_FAILURE = 3
"""The category of a trap out of a script (reference 1.8)."""

SCRIPTS = "/system/script"


class Scripts:
    """Runs scripts by the clock, by name, or out of hand."""

    def __init__(self, router: CommandRouter, execute: Execute) -> None:
        self.router = router
        self.scheduler = Scheduler(router)
        self.jobs = Jobs(router.clock)
        self._execute = execute
        self._shared: dict[str, dict[str, Value]] = {}

    # --- what the interpreter needs

    def seconds(self) -> float:
        """Return the seconds on the router's clock."""
        return self.router.clock.now()

    def timestamp(self) -> float:
        """Return the seconds since 1970, in UTC."""
        return self.router.clock.utc().timestamp()

    def nested(self, name: str, rights: Rights) -> tuple[Block, Rights]:
        """Return the script of that name, and the rights that it runs with.
        Raises Trap, ScriptError.
        """
        row = self.router.tables[SCRIPTS].find(name)
        if row is None:
            raise no_such_item(old=self.router.options.old_no_such_item)
        own = _policies(row)
        free = row.values.get("dont-require-permissions") == "true"
        if not free and not rights.policies >= own:
            raise not_permitted()
        count = int(row.values.get("run-count", "0"))
        row.values["run-count"] = str(count + 1)
        row.values["last-started"] = self.router.clock.stamp()
        allowed = Rights(row.values.get("owner", ""), own)
        source = row.values.get("source", "")
        return parse(source, self._console(allowed)), allowed

    def next_run(self, row: Row) -> str | None:
        """Return the date and time of a scheduler's next run; None for
        never.
        """
        return self.scheduler.next_text(row)

    # --- running

    def run(self, source: str, rights: Rights, name: str = "") -> Job:
        """Run a script; a job that did not come to its end goes on by itself."""
        return self._begin(name, rights, source=source)

    def run_named(self, name: str, rights: Rights) -> Job:
        """Run a script of the router's. Raises Trap when it may not be run."""
        return self._begin(name, rights, script=name)

    def answer(self, call: Call, name: str) -> None:
        """Run a script for a command, which is answered when it ends. Raises
        Trap.
        """
        job = self.run_named(name, call.rights)
        if job.done:
            if job.error is not None:
                raise Trap(job.error, SCRIPT_FAILURE)
            call.done()
            return

        def tell(ended: Job) -> None:
            self._log(ended, scheduled=False)
            if ended.error is not None:
                call.trap(Trap(ended.error, SCRIPT_FAILURE))
            call.done()
            for sentence in call.out:
                call.emit(sentence)
            call.finished()

        job.ended = tell
        call.stop = job.cancel

    def settle(self) -> None:
        """Run what the clock has made due."""
        self.jobs.wake()
        if not self.router.options.device_mode_scheduler:
            return
        for row in self.scheduler.take_due():
            self._run_scheduler(row)

    def boot(self) -> None:
        """Begin anew, as behind a boot."""
        self.scheduler.boot()

    def forget(self) -> None:
        """Lose what a reboot loses: running scripts and global variables."""
        self.jobs.clear()
        self._shared.clear()

    def _run_scheduler(self, row: Row) -> None:
        event = row.values.get("on-event", "")
        rights = Rights(row.values.get("owner", ""), _policies(row))
        name = row.values["name"]
        if self.router.tables[SCRIPTS].find(event) is None:
            self._begin(name, rights, source=event, scheduled=True)
        else:
            self._begin(name, rights, script=event, scheduled=True)

    def _console(self, rights: Rights) -> Console:
        return Console(self.router, self._execute, rights)

    def _begin(
        self,
        name: str,
        rights: Rights,
        *,
        source: str = "",
        script: str | None = None,
        scheduled: bool = False,
    ) -> Job:
        try:
            if script is None:
                block = parse(source, self._console(rights))
            else:
                block, rights = self.nested(script, rights)
        except (ScriptError, Trap) as error:
            text = error.message if isinstance(error, Trap) else str(error)
            return self._refused(name, text, scheduled=scheduled)
        shared = self._shared.setdefault(rights.user, {})
        interpreter = Interpreter(self._console(rights), self, shared)
        job = Job(name, interpreter.script(block), interpreter.output)
        job.ended = lambda ended: self._log(ended, scheduled=scheduled)
        self.jobs.start(job)
        return job

    def _refused(self, name: str, error: str, *, scheduled: bool) -> Job:
        job = Job(name, _nothing(), [])
        job.ended = lambda ended: self._log(ended, scheduled=scheduled)
        job.end(error)
        return job

    def _log(self, job: Job, *, scheduled: bool) -> None:
        """Write the error of a script that nobody waits for."""
        if job.error is None:
            return
        if scheduled:
            self.router.syslog.write(
                "script,error",
                f"executing script from scheduler ({job.name}) failed,"
                " please check it manually",
            )
        self.router.syslog.write(
            "script,error,debug", f"({job.name}) {job.error}"
        )


def _policies(row: Row) -> frozenset[str]:
    """Return the rights that a script or scheduler runs with."""
    words = row.values.get("policy", "").split(",")
    return frozenset(word for word in words if word)


def _nothing() -> Steps[None]:
    """Return the steps of a script that cannot run."""
    yield from ()
