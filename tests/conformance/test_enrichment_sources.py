"""Every enrichment source that is installed, ours or a stranger's, keeps the promises the house relies on."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from regulars.base.errors import DomainError
from regulars.base.plugins.fields import SettingField
from regulars.consent.models import Purpose
from regulars.enrichment.source import LAST_IP, SOURCES, Shaped, is_local
from regulars.profiles.attributes import STANDARD
from regulars.profiles.models import Attribute, Fact

every_source = pytest.mark.parametrize("key", list(SOURCES))


@every_source
def test_it_says_what_it_is_and_what_it_wants(key):
    source = SOURCES[key]
    assert source.title
    assert source.help
    assert all(isinstance(field, SettingField) and field.label for field in source.fields)
    assert len({field.key for field in source.fields}) == len(source.fields)
    assert not [field.key for field in source.fields if field.secret and field.default]


@every_source
def test_its_promises_are_within_reason(key):
    source = SOURCES[key]
    assert source.source_kind in {Fact.SourceKind.ENRICHED, Fact.SourceKind.INFERRED}
    assert 0 < source.confidence < 1
    assert source.fresh_days > 0
    assert source.nothing_days > 0


@every_source
def test_it_reads_what_may_be_used_for_its_purpose_and_gives_what_may_be_used_for_something(key, standard_setup):
    source = SOURCES[key]
    purposes = dict(Attribute.objects.filter(key__in=[*source.needs, *source.gives]).values_list("key", "purposes"))
    needs = set(source.needs) - {LAST_IP}
    assert source.gives or isinstance(source, Shaped)
    assert [name for name in needs if source.purpose not in purposes.get(name, [])] == []
    assert [name for name in source.gives if not purposes.get(name)] == []


@every_source
def test_a_source_that_tells_somebody_who_she_is_asks_for_her_yes(key, standard_setup):
    source = SOURCES[key]
    needs_none = source.is_about_areas or is_local(source)
    assert needs_none or Purpose.objects.get(key=source.purpose).basis == Purpose.Basis.CONSENT


@every_source
def test_what_it_says_of_an_area_is_called_so(key):
    """A statistic must not pass for a person's own: places may be named, but numbers say that they are the area's."""
    source = SOURCES[key]
    numbers = {standard.key for standard in STANDARD if standard.type == "number"}
    if source.is_about_areas:
        assert [name for name in set(source.gives) & numbers if not name.startswith("area_")] == []
        assert source.source_kind == Fact.SourceKind.INFERRED


@every_source
@pytest.mark.parametrize("value", [None, "", "\x00", 7, ["list"], {"a": "dict"}, "ß" * 10_000])
def test_traits_that_make_no_sense_are_no_question_and_no_crash(key, value):
    source = SOURCES[key]
    question = source.question(dict.fromkeys(source.needs, value))
    assert question is None or isinstance(question, str)
    assert source.question({}) is None


@every_source
def test_settings_that_make_no_sense_are_refused_by_name_and_not_by_a_crash(key):
    source = SOURCES[key]
    nonsense = {field.key: "\x00 = nonsense \n" for field in source.fields}
    with pytest.raises(DomainError) if source.fields else nullcontext() as refused:
        source.check(nonsense)
    if refused:
        assert refused.value.code.islower()
        assert not any(nonsense[field.key] in refused.value.message for field in source.fields)
