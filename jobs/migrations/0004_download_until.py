from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q


def windows_of_results(apps, schema_editor):
    """Until now the window followed from the plan; without this, results that were locked would be open for ever."""
    Job, Plan = apps.get_model("jobs", "Job"), apps.get_model("accounts", "Plan")
    for plan in Plan.objects.exclude(retention=None):
        owners = Q(owner__profile__plan=plan)
        if plan.code == "free":
            owners |= Q(owner__profile=None)
        results = Job.objects.filter(owners, status="COMPLETED")
        Job.objects.filter(pk__in=results.values("pk")).update(download_until=F("finished_at") + plan.retention)


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0003_chosen_reference"),
        ("accounts", "__first__"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="job",
            name="download_until",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="When the result is locked. Empty: the plan keeps it open.",
                null=True,
            ),
        ),
        migrations.RunPython(windows_of_results, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(("status", "COMPLETED"), ("download_until", None), _connector="OR"),
                name="job_download_until",
            ),
        ),
    ]
