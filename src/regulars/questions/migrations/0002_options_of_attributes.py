"""Give attributes the options that their questions have: an answer has to be one of its attribute's values from now on."""

from django.db import migrations


def grow(apps, schema_editor):
    Attribute, Question = apps.get_model("profiles", "Attribute"), apps.get_model("questions", "Question")
    for question in Question.objects.order_by("key"):
        attribute = Attribute.objects.filter(key=question.attribute).exclude(options=[]).first()
        if attribute is None:
            continue
        known = {option["key"] for option in attribute.options}
        new = [option for option in [*question.options, *question.old_options] if option["key"] not in known]
        if new:
            attribute.options += [{"key": each["key"], "label": each["label"]} for each in new]
            attribute.save(update_fields=["options"])


class Migration(migrations.Migration):
    dependencies = [("questions", "0001_initial"), ("profiles", "0001_initial")]

    operations = [migrations.RunPython(grow, migrations.RunPython.noop, elidable=True)]
