"""The cost of hashing a password."""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher


class PasswordHasher(Argon2PasswordHasher):
    """Argon2id, three passes over 64 MiB in four lanes: the second recommended option of RFC 9106, for machines that hash
    several passwords at once. Eight threads hold half a gigabyte. Hashes of another cost are renewed at the next login.
    """

    time_cost = 3
    memory_cost = 64 * 1024  # KiB
    parallelism = 4
