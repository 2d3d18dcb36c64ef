import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [('accounts', '0004_plan_limits')]

    operations = [
        migrations.CreateModel(
            name='AuditEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('actor_name', models.CharField(editable=False, help_text="The staff's user name, 'owner', or the command.", max_length=100)),
                ('action', models.CharField(editable=False, help_text='A noun and a past participle: job.retried', max_length=40)),
                ('object_type', models.CharField(editable=False, max_length=40)),
                ('object_id', models.CharField(editable=False, max_length=64)),
                ('reason', models.TextField(blank=True, editable=False)),
                ('before', models.JSONField(default=dict, editable=False)),
                ('after', models.JSONField(default=dict, editable=False)),
            ],
            options={
                'ordering': ['-at', '-pk'],
                'permissions': [('export_auditevent', 'Can export audit events')],
                'default_permissions': ['view'],
            },
        ),
        migrations.AddField(
            model_name='auditevent',
            name='actor',
            field=models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='auditevent',
            name='subject',
            field=models.ForeignKey(blank=True, editable=False, help_text='Whose data it was.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['-at', '-id'], name='audit_at'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['subject', '-at'], name='audit_subject'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['object_id', '-at'], name='audit_object'),
        ),
    ]
