from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts import security_events  # noqa: F401, PLC0415 (models are there only now)
        from accounts.roles import keep_roles  # noqa: PLC0415

        # once a `migrate`, and after the permissions of accounts, jobs and archive, which stand before auth, are made
        post_migrate.connect(keep_roles, sender=apps.get_app_config("auth"))
