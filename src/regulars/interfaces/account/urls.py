from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from .data import all_data, data_file, erase, erased, portable_file
from .decision import decision, receipt_file
from .linked import linked_accounts, stop_claim, unlink_identity
from .profile import change_restriction, correct, decide, object_to_advertising, overview, remove
from .refusal import unsubscribe
from .security import (
    add_passkey,
    authenticator_app,
    change_password,
    passkey_options,
    recovery_codes,
    remove_factor,
    sign_out_sessions,
)
from .security import overview as security_overview

urlpatterns: list[URLPattern | URLResolver] = [
    path("me", overview),
    path("me/facts/correct", correct),
    path("me/facts/remove", remove),
    path("me/purposes/<slug:key>", decide),
    path("me/decisions/<int:number>", decision),
    path("me/decisions/<int:number>.json", receipt_file),
    path("me/advertising", object_to_advertising),
    path("me/restriction", change_restriction),
    path("me/data", all_data),
    path("me/data.html", all_data),
    path("me/data.json", data_file),
    path("me/portable.<slug:form>", portable_file),
    path("me/erase", erase),
    path("me/erased/<uuid:number>", erased),
    path("unsubscribe/<str:token>", unsubscribe),
    path("me/accounts", linked_accounts),
    path("me/accounts/<int:number>/part", unlink_identity),
    path("me/accounts/<int:number>/stop", stop_claim),
    path("me/security", security_overview),
    path("me/security/app", authenticator_app),
    path("me/security/codes", recovery_codes),
    path("me/security/passkeys", add_passkey),
    path("me/security/passkeys/options", passkey_options),
    path("me/security/password", change_password),
    path("me/security/remove", remove_factor),
    path("me/security/sessions/end", sign_out_sessions),
]
