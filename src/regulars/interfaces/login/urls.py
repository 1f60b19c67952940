from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from .accounts import accounts, part, stop
from .brand import brand_stylesheet
from .code import ask_code, enter_code, open_link
from .front import front, logout
from .gpc import well_known
from .login import login
from .me import correct, decide, me
from .me import remove as remove_fact
from .me_data import portable, taken_along, whole
from .me_erase import erase, erased
from .question import one_more, question
from .reset import choose, reset
from .second import passkey, passkey_options, second_factor, second_factor_options
from .security.factors import add_passkey, app, recovery_codes
from .security.factors import passkey_options as new_passkey_options
from .security.overview import end, overview, remove
from .security.password import change_password
from .signup import finish, signup
from .social import callback, start

# Only these: allauth's own pages are not reachable.
urlpatterns: list[URLPattern | URLResolver] = [
    path("", front),
    path("", include("regulars.interfaces.login.embedded.urls")),
    path("login", login),
    path("login/callback", callback),
    path("login/<slug:name>", start),
    path("logout", logout),
    path("signup", signup),
    path("signup/finish", finish),
    path("password/reset", reset),
    path("password/reset/<slug:key>/<str:token>", choose),
    path("question", question),
    path("question/more", one_more),
    path("brand/<slug:client_id>.css", brand_stylesheet),
    path("second-factor", second_factor),
    path("second-factor/options", second_factor_options),
    path("passkey", passkey),
    path("passkey/options", passkey_options),
    path("me/security", overview),
    path("me/security/app", app),
    path("me/security/codes", recovery_codes),
    path("me/security/passkeys", add_passkey),
    path("me/security/passkeys/options", new_passkey_options),
    path("me/security/password", change_password),
    path("me/security/remove", remove),
    path("me/security/sessions/end", end),
    path("code", ask_code),
    path("code/enter", enter_code),
    path("code/open", open_link),
    path("me/accounts", accounts),
    path("me/accounts/<int:number>/part", part),
    path("me/accounts/<int:number>/stop", stop),
    path("me", me),
    path("me/facts/correct", correct),
    path("me/facts/remove", remove_fact),
    path("me/purposes/<slug:key>", decide),
    path("me/data", whole),
    path("me/data.json", taken_along),
    path("me/portable.<slug:form>", portable),
    path("me/erase", erase),
    path("me/erased/<uuid:number>", erased),
    path(".well-known/gpc.json", well_known),
]
