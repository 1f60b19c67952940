"""The console's pages. One line per address; one file per page under `views`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from .views import applications, connections, customer, customers, home, login, question, questions, rule, rules, theme

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home),
    path("login", login.sign_in),
    path("logout", login.sign_out),
    path("theme", theme.choose),
    path("customers", customers.customers),
    path("customers/<path:user_id>", customer.customer),
    path("charts.js", home.charts_script),
    path("questions", questions.questions),
    path("questions/new", question.question),
    path("questions/<slug:key>", question.question),
    path("questions/<slug:key>/switch", questions.switch),
    path("rules", rules.rules),
    path("rules/new", rule.rule),
    path("rules/settings", rules.shared_setting),
    path("rules/templates/<slug:key>", rules.take_template),
    path("rules/<slug:slug>", rule.rule),
    path("rules/<slug:slug>/switch", rules.switch),
    path("rules/<slug:slug>/move", rules.move),
    path("connections", connections.connections),
    path("connections/new", connections.connection),
    path("connections/<slug:name>", connections.connection),
    path("connections/<slug:name>/switch", connections.switch),
    path("applications", applications.applications),
    path("applications/new", applications.application),
    path("applications/<slug:client_id>", applications.application),
    path("applications/<slug:client_id>/rotate", applications.rotate),
]
