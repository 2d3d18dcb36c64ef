from datetime import timedelta

from django.db import migrations

PLANS = [
    {"code": "free", "name": "Free", "max_upload_bytes": 153_600, "retention": timedelta(minutes=5)},
    {"code": "premium", "name": "Premium", "max_upload_bytes": None, "retention": None},
]


def add_plans(apps, schema_editor):
    plans = apps.get_model("accounts", "Plan")
    plans.objects.using(schema_editor.connection.alias).bulk_create(plans(**plan) for plan in PLANS)


class Migration(migrations.Migration):

    dependencies = [("accounts", "0001_initial")]

    operations = [migrations.RunPython(add_plans, migrations.RunPython.noop)]
