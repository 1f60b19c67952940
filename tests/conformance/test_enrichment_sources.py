"""Every installed enrichment source, built in or of a third party, keeps the contract of `EnrichmentSource`."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from regulars.base.errors import DomainError
from regulars.consent.models import Purpose
from regulars.enrichment.source import LAST_IP, SOURCES, EnrichmentSource
from regulars.profiles.attributes import STANDARD
from regulars.profiles.models import Attribute, Fact

every_source = pytest.mark.parametrize("key", list(SOURCES))


@every_source
def test_source_describes_itself_and_every_setting(key):
    source = SOURCES[key]
    assert source.title.strip()
    assert source.help.endswith(".")
    assert [field.key for field in source.fields if not field.label.strip()] == []
    assert len({field.key for field in source.fields}) == len(source.fields)
    assert not [field.key for field in source.fields if field.secret and field.default]


@every_source
def test_confidence_and_freshness_are_in_range(key):
    source = SOURCES[key]
    assert source.source_kind in {Fact.SourceKind.ENRICHED, Fact.SourceKind.INFERRED}
    assert 0 < source.confidence < 1
    assert source.fresh_days > 0
    assert source.nothing_days > 0


@every_source
def test_attributes_read_and_given_may_be_used(key, standard_setup):
    source = SOURCES[key]
    purposes = dict(Attribute.objects.filter(key__in=[*source.needs, *source.gives]).values_list("key", "purposes"))
    needs = set(source.needs) - {LAST_IP}
    assert source.gives or type(source).for_settings is not EnrichmentSource.for_settings
    assert [name for name in needs if source.purpose not in purposes.get(name, [])] == []
    assert [name for name in source.gives if not purposes.get(name)] == []


@every_source
def test_source_that_receives_personal_data_needs_consent(key, standard_setup):
    source = SOURCES[key]
    needs_none = source.is_about_areas or source.is_local
    assert needs_none or Purpose.objects.get(key=source.purpose).basis == Purpose.Basis.CONSENT


@every_source
def test_numbers_about_areas_are_named_so(key):
    """A statistic must not look like a person's own value: places may be named, but numbers are named after the area."""
    source = SOURCES[key]
    numbers = {standard.key for standard in STANDARD if standard.type == "number"}
    if source.is_about_areas:
        assert [name for name in set(source.gives) & numbers if not name.startswith("area_")] == []
        assert source.source_kind == Fact.SourceKind.INFERRED


@every_source
@pytest.mark.parametrize("value", [None, "", "\x00", 7, ["list"], {"a": "dict"}, "ß" * 10_000])
def test_bad_traits_are_no_question_without_a_crash(key, value):
    source = SOURCES[key]
    question = source.question(dict.fromkeys(source.needs, value))
    assert question is None or isinstance(question, str)
    assert source.question({}) is None


@every_source
def test_bad_settings_are_refused_by_name_without_a_crash(key):
    source = SOURCES[key]
    nonsense = {field.key: "\x00 = nonsense \n" for field in source.fields}
    with pytest.raises(DomainError) if source.fields else nullcontext() as refused:
        source.check(nonsense)
    if refused:
        assert refused.value.code.islower()
        assert not any(nonsense[field.key] in refused.value.message for field in source.fields)
