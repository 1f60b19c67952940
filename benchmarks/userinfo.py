"""What /userinfo answers per second: ours against npm oidc-provider, interleaved in one run.

A customer signs in once; then the app reads name and e-mail with the access token, over and over. Our token is a JWT
(RS256, 2048 bits) whose signature is checked each time, and permitted claims are read from SQLite each time, so that a
withdrawn claim is missing in the next response. Theirs takes no JWT at this address: its token is a handle, found in memory
like the claims. Ours is one granian worker, theirs one core. Neither writes. Higher is better.

Of our 0.4 ms of processor time two fifths are granian and the way into a thread, a fifth one query (the customer with
permitted claims and those of rules), the rest reading the request and writing the answer. A
signature that was found good is not reckoned again; whether its key and the customer still count is asked each time.
Theirs took 0.16 ms when little else ran (a ratio of 0.44), and 0.3 when much did.

`--quick` takes two short rounds a side instead of five longer ones.
"""

from __future__ import annotations

from benchmarks._provider import CUSTOMER, compare

if __name__ == "__main__":
    words = "{ours:.0f} answers/s on one granian worker and SQLite / {theirs:.0f} of oidc-provider in memory"
    compare("userinfo", "userinfo", CUSTOMER, words, access_tokens="opaque")
