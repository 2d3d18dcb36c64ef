from django.db import migrations, models


CEILINGS = {"free": {"concurrent_jobs": 20}, "premium": {"concurrent_jobs": 500, "priority": 10}}


def set_ceilings(apps, schema_editor):
    plans = apps.get_model("accounts", "Plan").objects.using(schema_editor.connection.alias)
    for code, ceilings in CEILINGS.items():
        plans.filter(code=code).update(**ceilings)


class Migration(migrations.Migration):

    dependencies = [('accounts', '0003_plan_retention_help')]

    operations = [
        migrations.AddField(
            model_name='plan',
            name='concurrent_jobs',
            field=models.PositiveIntegerField(blank=True, help_text='Jobs of an account that may wait or run at a time. Empty: no limit.', null=True),
        ),
        migrations.AddField(
            model_name='plan',
            name='monthly_jobs',
            field=models.PositiveIntegerField(blank=True, help_text='Jobs that an account may submit in a calendar month (UTC). Empty: no limit.', null=True),
        ),
        migrations.AddField(
            model_name='plan',
            name='priority',
            field=models.PositiveSmallIntegerField(default=0, help_text='Minutes by which its jobs go ahead of others in the queue.'),
        ),
        migrations.AddConstraint(
            model_name='plan',
            constraint=models.CheckConstraint(condition=models.Q(('concurrent_jobs', 0), _negated=True), name='plan_concurrent_jobs'),
        ),
        migrations.RunPython(set_ceilings, migrations.RunPython.noop),
    ]
