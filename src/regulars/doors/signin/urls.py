from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from .front import front, logout
from .login import login
from .question import question
from .reset import choose, reset
from .signup import finish, signup
from .social import callback, start

# Only these: allauth's own pages are not reachable.
urlpatterns: list[URLPattern | URLResolver] = [
    path("", front),
    path("login", login),
    path("login/callback", callback),
    path("login/<slug:name>", start),
    path("logout", logout),
    path("signup", signup),
    path("signup/finish", finish),
    path("password/reset", reset),
    path("password/reset/<slug:key>/<str:token>", choose),
    path("question", question),
]
