"""Give attributes the translated labels that their questions have: customers read them on their own page."""

from django.db import migrations


def translate(apps, schema_editor):
    Attribute, Question = apps.get_model("profiles", "Attribute"), apps.get_model("questions", "Question")
    for question in Question.objects.order_by("key"):
        attribute = Attribute.objects.filter(key=question.attribute).exclude(options=[]).first()
        if attribute is None:
            continue
        known = {option["key"] for option in attribute.options}
        labels = {locale: words.get("options", {}) for locale, words in question.translations.items()}
        if question.locale != "en":
            own = [*question.old_options, *question.options]
            labels[question.locale] = {option["key"]: option["label"] for option in own}
        for locale, options in labels.items():
            words = attribute.translations.get(locale, {})
            before = words.get("options", {})
            new = {key: label for key, label in options.items() if key in known and key not in before}
            if new:
                attribute.translations[locale] = {**words, "options": {**before, **new}}
        attribute.save(update_fields=["translations"])


class Migration(migrations.Migration):
    dependencies = [("questions", "0003_rules_see_answer"), ("profiles", "0011_attribute_translations")]

    operations = [migrations.RunPython(translate, migrations.RunPython.noop, elidable=True)]
