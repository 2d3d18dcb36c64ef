from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [('accounts', '0007_api_token')]

    operations = [
        migrations.AddField(
            model_name='profile',
            name='mail_completed',
            field=models.BooleanField(default=True, verbose_name='a file is annotated'),
        ),
        migrations.AddField(
            model_name='profile',
            name='mail_expiring',
            field=models.BooleanField(default=True, verbose_name='the time to download a result is running out'),
        ),
        migrations.AddField(
            model_name='profile',
            name='mail_failed',
            field=models.BooleanField(default=True, verbose_name='a file could not be annotated'),
        ),
    ]
