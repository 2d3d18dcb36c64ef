import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.db.models import Count, F


def count_what_there_is(apps, schema_editor):
    """Pending jobs keep their order, and the jobs of this month count."""
    using = schema_editor.connection.alias
    jobs = apps.get_model("jobs", "Job").objects.using(using)
    jobs.filter(status="PENDING").update(turn=F("waiting_since"))
    month = django.utils.timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    counts = jobs.filter(submitted_at__gte=month).order_by().values_list("owner").annotate(Count("pk"))
    use = apps.get_model("jobs", "MonthlyUse")
    use.objects.using(using).bulk_create(use(user_id=user, month=month.date(), jobs=jobs) for user, jobs in counts)


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("jobs", "0008_staff_permissions"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="job", name="job_queue"),
        migrations.AddField(
            model_name="job",
            name="turn",
            field=models.DateTimeField(
                default=django.utils.timezone.now,
                editable=False,
                help_text="The earliest is next: it waits since then, or has that head start.",
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(condition=models.Q(("finished_at", None)), fields=["turn"], name="job_queue"),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(condition=models.Q(("finished_at", None)), fields=["owner"], name="job_active"),
        ),
        migrations.CreateModel(
            name="MonthlyUse",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("month", models.DateField(editable=False, help_text="Its first day.")),
                ("jobs", models.PositiveIntegerField(default=0, editable=False)),
                (
                    "user",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="monthly_use",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("user", "month"), name="monthly_use_once")],
            },
        ),
        migrations.RunPython(count_what_there_is, migrations.RunPython.noop),
    ]
