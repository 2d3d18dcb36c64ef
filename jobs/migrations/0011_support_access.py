from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0010_announcement'),
    ]

    operations = [
        migrations.AddField(
            model_name='job',
            name='support_until',
            field=models.DateTimeField(blank=True, editable=False, help_text='Until then support may look at its files, as its owner granted.', null=True),
        ),
    ]
