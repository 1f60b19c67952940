"""The purposes every business starts with."""

from __future__ import annotations

import pytest

from regulars.consent.models import Purpose
from regulars.consent.purposes import ensure_standard_purposes, words_in

pytestmark = pytest.mark.django_db


def test_a_standard_purpose_speaks_every_language_of_the_pages():
    Purpose.objects.filter(key="message").delete()
    ensure_standard_purposes()
    message = Purpose.objects.get(key="message")

    assert words_in(message, "de")[1] == "Neuigkeiten per E-Mail"
    assert words_in(message, "pt-BR")[1] == "Novidades por e-mail"
    assert words_in(message, "nl")[1] == "News by e-mail"
    assert sorted(message.translations) == ["ar", "de", "es", "fr", "ja", "pt"]


def test_the_words_of_the_business_are_left_as_they_are():
    words = {"label": "Post from us", "text": "Now and then.", "translations": {}}
    Purpose.objects.update_or_create(key="message", defaults={**words, "basis": "consent", "kind": "message"})
    ensure_standard_purposes()

    assert Purpose.objects.filter(key="message", **words).exists()
