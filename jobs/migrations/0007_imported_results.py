from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0006_lift_over"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="job",
            name="job_result",
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("log_size__isnull", False),
                        ("result_size__isnull", False),
                        ("status", "COMPLETED"),
                        models.Q(("result_key", ""), _negated=True),
                        models.Q(("log_key", ""), _negated=True),
                        models.Q(("log_sha256", ""), _negated=True),
                        models.Q(models.Q(("result_sha256", ""), _negated=True), ("attempt", 0), _connector="OR"),
                    ),
                    models.Q(
                        models.Q(("status", "COMPLETED"), _negated=True),
                        ("index_key", ""),
                        ("log_key", ""),
                        ("result_key", ""),
                        ("skipped_key", ""),
                    ),
                    _connector="OR",
                ),
                name="job_result",
            ),
        ),
    ]
