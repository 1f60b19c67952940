"""A changed address asks for the secret again, beside the secret's input."""

from __future__ import annotations

from regulars.base.plugins.fields import HIDDEN
from regulars.connections.models import Connection
from regulars.connections.save import ConnectionSpec, save_connection
from regulars.destinations.models import Destination
from regulars.destinations.save import save_destination
from regulars.enrichment.models import SourceSetting
from regulars.enrichment.save import save_source

THERE, ELSEWHERE = "https://there.example/a", "https://attacker.example/a"
SECRET = "whsec_" + "QUFB" * 10


def test_console_asks_for_the_secret_beside_its_input(console, standard_setup):
    save_connection(ConnectionSpec("club", "oidc", "Club", "shop", SECRET, {"issuer": THERE}))
    save_destination("Hook", "webhook", {"url": THERE, "secret": SECRET}, purpose="message", segment_slugs=[])
    save_source("gravatar", {"api_key": SECRET})
    forms = {
        "/console/connections/club": {
            "name": "club", "display_name": "Club", "client_id": "shop", "secret": "", "issuer": ELSEWHERE,
        },
        "/console/destinations/hook": {"name": "Hook", "purpose": "message", "setting.url": ELSEWHERE, "setting.secret": ""},
        "/console/sources/gravatar": {"purpose": "enrich", "setting.base_url": ELSEWHERE, "setting.api_key": HIDDEN},
    }  # fmt: skip
    for path, form in forms.items():
        page = console.post(path, form)
        assert page.status_code == 400, path
        assert "again" in page.content.decode(), path
        assert SECRET not in page.content.decode()

    assert Connection.objects.get().urls == {"issuer": THERE}
    assert Destination.objects.get().settings["url"] == THERE
    assert SourceSetting.objects.get().settings["base_url"] != ELSEWHERE
