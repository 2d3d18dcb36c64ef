from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class GasConfig(AppConfig):
    name = "gas"
    verbose_name = "GAS"

    def ready(self) -> None:
        autodiscover_modules("tasks")  # every process may send a hint, and must know the actors
