from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0011_support_access'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('status', 'FAILED')), fields=['-finished_at', 'error_code'], name='job_failures'),
        ),
        migrations.AddIndex(
            model_name='upload',
            index=models.Index(fields=['-created_at'], name='upload_created'),
        ),
    ]
