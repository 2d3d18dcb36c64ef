from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0005_expiring_notification"),
    ]

    operations = [
        migrations.AddField(
            model_name="job",
            name="lift_over",
            field=models.BooleanField(
                default=False,
                editable=False,
                help_text="First, from the build that the header tells; as its owner wished.",
            ),
        ),
    ]
