from __future__ import annotations

from django.apps import AppConfig


class AccountConfig(AppConfig):
    name = "regulars.interfaces.account"
    label = "customer_account"  # `account` is allauth's
