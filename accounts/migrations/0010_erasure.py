import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0009_user_plan_permission'),
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
        migrations.CreateModel(
            name='Erasure',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('attempt', models.PositiveIntegerField(default=0, editable=False, help_text='The fencing token: rises with every claim.')),
                ('lease_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('next_action_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('not_before', models.DateTimeField(blank=True, editable=False, help_text='No claim before: a back-off.', null=True)),
                ('hints', models.PositiveIntegerField(default=0, editable=False, help_text='Sent by the dispatcher since the last change.')),
                ('status', models.CharField(choices=[('PENDING', 'Pending'), ('ERASING', 'Erasing'), ('ERASED', 'Erased'), ('WITHDRAWN', 'Withdrawn')], default='PENDING', editable=False, max_length=9)),
                ('asked_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('due_at', models.DateTimeField(editable=False, help_text='When the grace is over.')),
                ('told_at', models.DateTimeField(blank=True, editable=False, help_text='The mail with the date was sent.', null=True)),
                ('farewell_at', models.DateTimeField(blank=True, editable=False, help_text='The last mail was sent.', null=True)),
                ('ended_at', models.DateTimeField(blank=True, editable=False, help_text='Erased or withdrawn.', null=True)),
                ('pauses', models.PositiveSmallIntegerField(default=0, editable=False, help_text='In a row; they grow.')),
                ('waits_for', models.CharField(blank=True, editable=False, help_text='What the last step waited for.', max_length=200)),
            ],
        ),
        migrations.AddField(
            model_name='user',
            name='erased_at',
            field=models.DateTimeField(blank=True, editable=False, help_text='The account is erased; only this bare row is left.', null=True),
        ),
        migrations.AddConstraint(
            model_name='user',
            constraint=models.CheckConstraint(condition=models.Q(('erased_at', None), models.Q(('email', ''), ('full_name', ''), ('is_active', False), ('last_login', None)), _connector='OR'), name='user_erased_is_bare'),
        ),
        migrations.AddField(
            model_name='erasure',
            name='user',
            field=models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='erasures', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='erasure',
            index=models.Index(condition=models.Q(('next_action_at__isnull', False)), fields=['next_action_at'], name='erasure_due'),
        ),
        migrations.AddConstraint(
            model_name='erasure',
            constraint=models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('user',), name='erasure_one_open'),
        ),
        migrations.AddConstraint(
            model_name='erasure',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['PENDING', 'ERASING', 'ERASED', 'WITHDRAWN'])), name='erasure_status'),
        ),
        migrations.AddConstraint(
            model_name='erasure',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['PENDING', 'ERASING']), ('ended_at__isnull', False), _connector='XOR'), name='erasure_ended_at'),
        ),
        migrations.AddConstraint(
            model_name='erasure',
            constraint=models.CheckConstraint(condition=models.Q(('ended_at', None), ('next_action_at', None), _connector='XOR'), name='erasure_timer'),
        ),
        migrations.AddConstraint(
            model_name='erasure',
            constraint=models.CheckConstraint(condition=models.Q(('ended_at', None), ('lease_until', None), _connector='OR'), name='erasure_lease'),
        ),
    ]
