"""Host functions that a rule calls synchronously, on its own CPU time: random bytes, digests, signatures.

Arguments and results are JSON; bytes are base64. Every argument is untrusted.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509 import load_pem_x509_certificate

from regulars.base.text import JsonObject

MAX_RANDOM = 4096
MAX_WORK = 200_000  # rounds of PBKDF2 times blocks: about a fifth of a second
MAX_KEY_BITS = 8192
_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "md5": hashes.MD5,
    "sha1": hashes.SHA1,
    "sha224": hashes.SHA224,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}


def do_now(operation: str, argument: str) -> str:
    """Return `{"value": …}`, or `{"error": "…"}` with a message for the rule's author."""
    try:
        return json.dumps({"value": _OPERATIONS[operation](json.loads(argument))})
    except KeyError as error:
        return json.dumps({"error": f"unknown operation or missing argument: {error.args[0]}"[:200]})
    except (ValueError, TypeError, OverflowError, RecursionError, UnsupportedAlgorithm) as error:
        return json.dumps({"error": str(error)[:200] or "bad argument"})


def _random(arguments: JsonObject) -> str:
    size = arguments["size"]
    if not isinstance(size, int) or not 0 <= size <= MAX_RANDOM:
        raise ValueError(f"at most {MAX_RANDOM} random bytes at a time")
    return _text(os.urandom(size))


def _hash(arguments: JsonObject) -> str:
    return _text(hashlib.new(_digest(arguments), _bytes(arguments["data"]), usedforsecurity=False).digest())


def _hmac(arguments: JsonObject) -> str:
    return _text(hmac.new(_bytes(arguments["key"]), _bytes(arguments["data"]), _digest(arguments)).digest())


def _pbkdf2(arguments: JsonObject) -> str:
    rounds, length, digest = int(arguments["iterations"]), int(arguments["length"]), _digest(arguments)
    blocks = -(-length // hashlib.new(digest, usedforsecurity=False).digest_size)
    if rounds < 1 or length < 1 or rounds * blocks > MAX_WORK:
        raise ValueError(f"PBKDF2 is limited to {MAX_WORK} rounds")
    return _text(hashlib.pbkdf2_hmac(digest, _bytes(arguments["password"]), _bytes(arguments["salt"]), rounds, length))


def _sign(arguments: JsonObject) -> str:
    key = serialization.load_pem_private_key(arguments["key"].encode(), password=None)
    algorithm, data = _HASHES[_digest(arguments)](), _bytes(arguments["data"])
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size <= MAX_KEY_BITS:
        return _text(key.sign(data, _padding(arguments, algorithm), algorithm))
    if isinstance(key, ec.EllipticCurvePrivateKey):
        signature = key.sign(data, ec.ECDSA(algorithm))
        if arguments.get("kind") == "ES":  # a JWS has the two numbers side by side (RFC 7518 3.4)
            size = (key.curve.key_size + 7) // 8
            signature = b"".join(number.to_bytes(size, "big") for number in utils.decode_dss_signature(signature))
        return _text(signature)
    raise ValueError("this kind of key is not supported")


def _verify(arguments: JsonObject) -> bool:
    key = _public_key(arguments["key"])
    algorithm, data, signature = (
        _HASHES[_digest(arguments)](),
        _bytes(arguments["data"]),
        _bytes(arguments["signature"]),
    )
    try:
        if isinstance(key, rsa.RSAPublicKey) and key.key_size <= MAX_KEY_BITS:
            key.verify(signature, data, _padding(arguments, algorithm), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            if arguments.get("kind") == "ES":
                half = len(signature) // 2
                numbers = (int.from_bytes(part, "big") for part in (signature[:half], signature[half:]))
                signature = utils.encode_dss_signature(*numbers)
            key.verify(signature, data, ec.ECDSA(algorithm))
        else:
            raise ValueError("this kind of key is not supported")
    except InvalidSignature:
        return False
    return True


def _public_key(text: str) -> Any:
    pem = text.encode()
    if b"BEGIN CERTIFICATE" in pem:
        return load_pem_x509_certificate(pem).public_key()
    if b"PRIVATE KEY" in pem:
        return serialization.load_pem_private_key(pem, password=None).public_key()
    return serialization.load_pem_public_key(pem)


def _padding(arguments: JsonObject, algorithm: hashes.HashAlgorithm) -> Any:
    if arguments.get("kind") == "PS":
        return padding.PSS(padding.MGF1(algorithm), padding.PSS.DIGEST_LENGTH)
    return padding.PKCS1v15()


def _digest(arguments: JsonObject) -> str:
    name = str(arguments["hash"]).lower().replace("-", "")
    if name not in _HASHES:
        raise ValueError("this digest is not supported")
    return name


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


_OPERATIONS: dict[str, Callable[[JsonObject], Any]] = {
    "random": _random,
    "hash": _hash,
    "hmac": _hmac,
    "pbkdf2": _pbkdf2,
    "sign": _sign,
    "verify": _verify,
}
