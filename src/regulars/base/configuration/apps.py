"""The app `configuration`: its triggers are made after every `migrate`."""

from __future__ import annotations

from django.apps import AppConfig


class ConfigurationConfig(AppConfig):
    name = "regulars.base.configuration"

    def ready(self) -> None:
        from django.db.models.signals import post_migrate

        from .triggers import create_triggers

        post_migrate.connect(create_triggers, sender=self, dispatch_uid="configuration.triggers")
