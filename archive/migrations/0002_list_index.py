from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('archive', '0001_initial'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='resultarchive',
            index=models.Index(fields=['-created_at'], name='archive_created'),
        ),
    ]
