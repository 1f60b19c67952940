"""Authorization code exchanges per second: ours against npm oidc-provider, interleaved in one run.

Both sides do the same round: /authorize with a live session, then the code for a signed ID token and a signed access
token (RS256, 2048 bits). Ours is one granian worker on SQLite with every commit on disk, and each round is a login that
is counted, recorded as an event and shown to segments. Theirs keeps everything in memory on one core. Higher is better.

Of our 4.7 ms of processor time 2.2 are /authorize (23 statements, none of which Django writes anew),
1.4 the exchange (0.6 of it two signatures), 0.3 granian and the way into a thread, and the rest threads in each other's way.
The two commits with their fsync are a tenth. Theirs took 2.1 to 2.4 ms beside us: ratios between 0.43 and 0.49.

`--quick` takes two short rounds a side instead of five longer ones.
"""

from __future__ import annotations

from benchmarks._provider import CUSTOMER, compare

if __name__ == "__main__":
    words = "{ours:.0f} logins/s on one granian worker and SQLite / {theirs:.0f} of oidc-provider in memory"
    compare("code-exchange", "exchange", CUSTOMER, words)
