"""The metadata of the server, at the addresses of OpenID Connect Discovery and of RFC 8414."""

from __future__ import annotations

import pytest

DISCOVERY = "/.well-known/openid-configuration"
METADATA = "/.well-known/oauth-authorization-server"


@pytest.mark.parametrize("path", [METADATA, f"{METADATA}/", f"{DISCOVERY}/"])
def test_metadata_of_rfc_8414_are_the_same_document(client, standard_setup, path):
    answer = client.get(path)

    assert answer.status_code == 200
    assert answer.json() == client.get(DISCOVERY).json()
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert client.options(path).status_code == 204
    assert client.post(path).status_code == 405


@pytest.mark.parametrize("kind", [METADATA, DISCOVERY])
def test_metadata_of_an_issuer_with_a_path_have_it_at_the_end(client, standard_setup, settings, kind):
    """RFC 8414, 3.1; the path of another issuer is none of ours."""
    settings.ISSUER = "https://shop.example/sign/in/"

    for path in (f"{kind}/sign/in", f"{kind}/sign/in/", kind):
        assert client.get(path).json()["issuer"] == "https://shop.example/sign/in/"
    for path in (f"{kind}/sign", f"{kind}/", f"{kind}/other"):
        assert client.get(path).status_code == 404
