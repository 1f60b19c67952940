from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from .email_code import ask_code, enter_code, open_link
from .entry import address_proved
from .login import login, logout, start
from .password_reset import new_password, reset
from .question import one_more, question
from .second_factor import passkey, passkey_options, second_factor, second_factor_options
from .signup import finish, signup
from .social import callback
from .social import start as start_social

# Only these: allauth's own pages are not reachable.
urlpatterns: list[URLPattern | URLResolver] = [
    path("", start),
    path("", include("regulars.interfaces.login.embedded.urls")),
    path("login", login),
    path("login/callback", callback),
    path("login/<slug:name>", start_social),
    path("logout", logout),
    path("signup", signup),
    path("signup/finish", finish),
    path("password/reset", reset),
    path("password/reset/<slug:key>/<str:token>", new_password),
    path("question", question),
    path("question/more", one_more),
    path("second-factor", second_factor),
    path("second-factor/options", second_factor_options),
    path("passkey", passkey),
    path("passkey/options", passkey_options),
    path("address-proved", address_proved),
    path("code", ask_code),
    path("code/enter", enter_code),
    path("code/open", open_link),
]
