"""Machine tokens per second (client_credentials): ours against npm oidc-provider, interleaved in one run.

Both sides check a secret and a scope and sign an access token (RS256, 2048 bits). Ours is one granian worker on SQLite,
theirs keeps everything in memory on one core. Neither writes anything down. Higher is better.

Of our 0.8 ms of processor time a third makes the signature and a fifth is granian and the way into a thread; the rest is
reading the request, Authlib's checks and writing the answer. No query: app and grant are remembered for a few seconds.
Theirs took 0.56 ms beside us when little else ran (a ratio of 0.68), and 0.8 when much did (a ratio of 1.1).

`--quick` takes two short rounds a side instead of five longer ones.
"""

from __future__ import annotations

from benchmarks._provider import compare

# A machine that was granted one API. Theirs has one for everybody.
MACHINE = """
import django, json
django.setup()
from regulars.base.crypto import hash_secret, random_secret
from regulars.clients.models import Client, ClientGrant, ResourceServer
secret = random_secret(64)
robot = Client.objects.create(client_id="robot", name="Robot", secret_hash=hash_secret(secret),
                              grant_types=["client_credentials"], auth_method="client_secret_post")
api = ResourceServer.objects.create(identifier="https://orders.example/", name="Orders", scopes=["read:orders"])
ClientGrant.objects.create(client=robot, resource_server=api, scopes=["read:orders"])
print(json.dumps({"clientId": robot.pk, "clientSecret": secret, "audience": api.identifier}))
"""

if __name__ == "__main__":
    words = "{ours:.0f} machine tokens/s on one granian worker and SQLite / {theirs:.0f} of oidc-provider in memory"
    compare("client-credentials", "machineToken", MACHINE, words)
