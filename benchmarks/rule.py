"""One rule in a fresh realm: our sandbox (QuickJS in WebAssembly) against the same rule in a fresh Node vm context.

Ours is the whole way a login takes: objects copied, realm made, script read, run within its limits, answer checked as
hostile input, realm thrown away. Theirs makes a context, runs the script and reads its answer; it bounds neither memory
nor what untrusted code reaches. Both sides take turns on one core, both begin warm. The lines before the last tell
milliseconds (the aim is at most 5 of wall time) and what a realm that has run holds in memory.

`--quick` takes two short rounds a side instead of five longer ones.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks._run import in_turns, is_quick, tell
from benchmarks._setup import ROOT, set_up_home

REALMS = 30  # kept at once, to weigh them
SCRIPT = """function (user, context, callback) {
  user.app_metadata = user.app_metadata || {};
  const roles = user.app_metadata.roles || ['member'];
  if (/@shop\\.example$/.test(user.email || '')) roles.push('staff');
  const namespace = 'https://shop.example/';
  context.idToken[namespace + 'roles'] = roles;
  context.accessToken[namespace + 'region'] = configuration.REGION;
  for (const each of user.orders) context.idToken[namespace + 'spent'] = (context.idToken[namespace + 'spent'] || 0) + each.total;
  callback(null, user, context);
}"""
USER: dict[str, Any] = {
    "user_id": "auth0|chika",
    "email": "chika@example.com",
    "name": "Chika Okafor",
    "identities": [{"provider": "auth0", "user_id": "chika", "connection": "Username-Password-Authentication"}],
    "orders": [{"id": f"o-{number}", "total": number * 7, "items": ["jacket", "boots"]} for number in range(25)],
}
CONTEXT: dict[str, Any] = {"clientID": "shop", "protocol": "oidc-basic-profile", "idToken": {}, "accessToken": {}}


@dataclass
class Ours:
    """Imported after `set_up_home`."""

    times: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        from regulars.rules.invocation import RuleInvocation

        self.job = RuleInvocation("bench", "javascript", SCRIPT, {"REGION": "EU"})

    def rate(self, seconds: float) -> float:
        from regulars.rules.http_calls import perform
        from regulars.rules.run import LanguageRunners, run_all

        count, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < seconds:
            started = time.perf_counter()
            with closing(LanguageRunners(perform)) as runners:
                (results,) = run_all([self.job], USER, CONTEXT, runners)
            self.times.append((time.perf_counter() - started) * 1000)
            assert results.step.context["idToken"]["https://shop.example/roles"] == ["member"], results.step
            count += 1
        return count / (time.perf_counter() - begun)

    def weigh(self) -> float:
        """Bytes of a realm that has run the rule."""
        from regulars.rules.javascript import JavaScript

        gc.collect()
        before, engines = resident(), [JavaScript() for _ in range(REALMS)]
        for engine in engines:
            engine.run(self.job, USER, CONTEXT)
        weight = (resident() - before) / REALMS
        for engine in engines:
            engine.close()
        return weight


@dataclass
class Theirs:
    process: subprocess.Popen[str]
    times: list[float] = field(default_factory=list)

    def rate(self, seconds: float) -> float:
        times: list[float] = self._ask(str(seconds))["times"]
        self.times += times
        return len(times) / seconds

    def weigh(self) -> float:
        return float(self._ask(f"memory {REALMS}")["bytes"])

    def _ask(self, line: str) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


def main() -> None:
    rounds, seconds = (2, 1.0) if is_quick() else (5, 3.0)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(prefix="regulars-bench-") as home, node() as them:
        set_up_home(Path(home))
        us = Ours()
        for side in (us, them):
            side.rate(1.0)
            side.times.clear()
        rates = in_turns(lambda: us.rate(seconds), lambda: them.rate(seconds), rounds)
        print(f"ours: {spread(us.times)}, {us.weigh() / 1e6:.2f} MB a realm")
        print(f"theirs: {spread(them.times)}, {them.weigh() / 1e6:.2f} MB a context")
    tell("rule", *rates, "{ours:.0f} rules/s in a fresh sandbox / {theirs:.0f} in a fresh Node vm context")


@contextmanager
def node() -> Iterator[Theirs]:
    task = json.dumps({"script": SCRIPT, "user": USER, "context": CONTEXT})
    command = ["node", "--expose-gc", str(ROOT / "benchmarks" / "node_vm.mjs"), task]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Theirs(process)
        finally:
            process.kill()


def spread(times: list[float]) -> str:
    ordered = sorted(times)
    p50, p95 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.95))
    return f"p50 {p50:.2f} ms, p95 {p95:.2f} ms of wall time"


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
