"""Django settings. Everything an operator may change is an environment variable: docs/operator/configuration.md lists them."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from regulars.base import connection_limits
from regulars.base.addresses import is_local
from regulars.base.home_folder import OTHERS, database_url, home

from .database import database
from .environment import check_time_zone, mail_server, number, number_or_networks, secret_key

os.umask(OTHERS)  # data and keys are readable by their owner only, also those a library writes
HOME = home()
SECRET_KEY = secret_key()
DEBUG = False

# The address customers see. The issuer of every token is this with a slash at its end, as Auth0's SDKs expect.
PUBLIC_URL = os.environ.get("REGULARS_URL", "http://localhost:8000").rstrip("/")
ISSUER = PUBLIC_URL + "/"
# Who is responsible for the data, as consent records name them: name, address and contact.
CONTROLLER = os.environ.get("REGULARS_CONTROLLER", "").strip() or urlsplit(PUBLIC_URL).hostname or "localhost"
ALLOWED_HOSTS = os.environ.get("REGULARS_ALLOWED_HOSTS", "").split() or [
    urlsplit(PUBLIC_URL).hostname or "localhost",
    "localhost",
    "127.0.0.1",
]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
SECURE = PUBLIC_URL.startswith("https://")
# Trusted proxies in front: how many, or their networks (`serving.forwarded` applies their headers before Django).
TRUSTED_PROXIES = number_or_networks("REGULARS_TRUST_PROXY")
# Of each web process (`serving.connection_watch`, `serving.exchange`); 0 for an IP is no limit.
MAX_CONNECTIONS = number("REGULARS_MAX_CONNECTIONS", connection_limits.MAX_CONNECTIONS)
CONNECTIONS_PER_IP = number("REGULARS_CONNECTIONS_PER_IP", connection_limits.PER_IP)
REQUESTS_PER_IP = number("REGULARS_REQUESTS_PER_IP", connection_limits.PER_IP)

# In demo mode the mock services on this machine may be reached, and staff may sign in without a second factor.
DEMO = os.environ.get("REGULARS_DEMO") == "1"
DEMO_PEOPLE = number("REGULARS_DEMO_PEOPLE", 5000)
# Hosts of the operator's own network that rules, enrichment and destinations may call although they are not public.
ALLOW_HOSTS = os.environ.get("REGULARS_ALLOW_HOSTS", "").lower().split()
# PEM files of additional certificate authorities, for hosts of the operator's network.
CA_FILES = [path for path in os.environ.get("REGULARS_CA_FILES", "").split(os.pathsep) if path]
# Rules may call these hosts only (".example.com": every subdomain); empty: any public host.
RULE_HOSTS = os.environ.get("REGULARS_RULE_HOSTS", "").lower().split()
# Customers' addresses are stored as their networks only. Rules and limits still see the whole address of a request.
TRUNCATE_IPS = os.environ.get("REGULARS_TRUNCATE_IPS") == "1"
# Places of internet addresses for rules, a file in MaxMind's format; empty: the table of countries that is fetched.
GEOIP_FILE = os.environ.get("REGULARS_GEOIP_FILE", "")
# New browsers within a day after which an id of a customer joins no more; 0: any number.
BROWSERS_PER_DAY = number("REGULARS_BROWSERS_PER_DAY", 20)
# Days that the encrypted input of a rule is kept for replays.
RULE_INPUT_DAYS = number("REGULARS_RULE_INPUT_DAYS", 7)
# Third-party apps may register at /oidc/register; customers consent before such an app receives anything.
DYNAMIC_REGISTRATION = os.environ.get("REGULARS_DYNAMIC_REGISTRATION") == "1"
LAKE_URL = os.environ.get("LAKE_URL", str(HOME / "lake"))
DATABASES = {"default": database(database_url())}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_ace",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "django_htmx",
    "template_partials",
    "regulars.base.configuration",
    "regulars.base.tokens",
    "regulars.base.jobs",
    "regulars.clients",
    "regulars.connections",
    "regulars.accounts",
    "regulars.accounts.proofs",
    "regulars.profiles",
    "regulars.events",
    "regulars.consent",
    "regulars.oauth",
    "regulars.rules",
    "regulars.questions",
    "regulars.enrichment",
    "regulars.segments",
    "regulars.destinations",
    "regulars.insights",
    "regulars.interfaces.pages",
    "regulars.interfaces.login",
    "regulars.interfaces.account",
    "regulars.interfaces.oidc",
    "regulars.interfaces.console",
]
AUTH_USER_MODEL = "accounts.Account"

MIDDLEWARE = [
    "regulars.interfaces.oidc.query_token.strike_request",
    "regulars.base.configuration.versioned_cache.one_version_per_request",
    "django.middleware.security.SecurityMiddleware",
    "regulars.serving.no_store.no_store",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "regulars.serving.api_fast_path.api_fast_path",
    "regulars.serving.encoded_slashes.DecodeArguments",
    "regulars.serving.console_sessions.console_session",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "regulars.interfaces.api.customer_access.cors_for_own_apps",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "regulars.interfaces.pages.app_branding.remember_app",
    "regulars.interfaces.pages.language.choose_language",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "regulars.interfaces.pages.gpc.honour_signal",
    "regulars.serving.error_pages.AnswerUnavailable",
]
ROOT_URLCONF = "regulars.serving.urls"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["django.templatetags.i18n"],
            "context_processors": [
                "django.template.context_processors.i18n",
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "regulars.interfaces.pages.app_branding.brand",
                "regulars.interfaces.pages.language.language_links",
            ],
        },
    }
]

# Sessions and sign-in
SESSION_ENGINE = "regulars.serving.session_store"
# The prefix makes browsers refuse a cookie of this name from a neighbouring host or from plain http.
SESSION_COOKIE_NAME = f"{'__Host-' if SECURE else ''}regulars_session"
CSRF_FAILURE_VIEW = "regulars.serving.error_pages.csrf_failure"
CSRF_COOKIE_NAME = f"{'__Host-' if SECURE else ''}csrftoken"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
# HSTS applies to every port of a host, so never for localhost, where other projects run too.
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if SECURE and not is_local(PUBLIC_URL) else 0
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600
# Django's default of same-origin closes the channel that loginWithPopup answers through.
SECURE_CROSS_ORIGIN_OPENER_POLICY = None
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
PASSWORD_HASHERS = [
    "regulars.accounts.passwords.PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
# The password policy belongs to the connection (accounts/passwords.py).
BREACHED_PASSWORDS = os.environ.get("REGULARS_BREACHED_PASSWORDS", "")
PASSWORD_RESET_TIMEOUT = 3600
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_URL = "/login"
LOGIN_REDIRECT_URL = "/"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# allauth, driven through our adapters (interfaces/login)
ACCOUNT_ADAPTER = "regulars.interfaces.login.adapters.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "optional"
ACCOUNT_PREVENT_ENUMERATION = True
MFA_ADAPTER = "regulars.accounts.factors.adapter.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_TOLERANCE = 1  # half-minutes that the clock of an authenticator may be off

# Mail: to the server, or into files in the home folder until one is set
_mail_server = mail_server()
EMAIL_HOST, EMAIL_PORT = _mail_server.host or "localhost", _mail_server.port or 25
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail_server.user, _mail_server.password
EMAIL_USE_TLS = bool(_mail_server.host) and _mail_server.tls == "starttls"
EMAIL_USE_SSL = bool(_mail_server.host) and _mail_server.tls == "implicit"
EMAIL_TIMEOUT = 30
EMAIL_BACKEND = os.environ.get("REGULARS_EMAIL_BACKEND") or (
    "regulars.base.mail_server.SmtpBackend" if _mail_server.host else "django.core.mail.backends.filebased.EmailBackend"
)
EMAIL_FILE_PATH = str(HOME / "mail")
DEFAULT_FROM_EMAIL = os.environ.get("REGULARS_FROM_EMAIL", "hello@localhost")

LANGUAGE_CODE = "en"
# Languages of the pages for customers (`locale`); the console is in English.
LANGUAGES = [
    ("en", "English"),
    ("de", "Deutsch"),
    ("es", "Español"),
    ("fr", "Français"),
    ("ja", "日本語"),
    ("pt-br", "Português (Brasil)"),
    ("ar", "العربية"),
]
LOCALE_PATHS = [str(Path(__file__).parents[1] / "locale")]
TIME_ZONE = "UTC"  # of stored times and of the console; `clock.zone` is the business's
check_time_zone()
USE_I18N = True
FORMAT_MODULE_PATH = "regulars.locale"
USE_TZ = True
STATIC_URL = "/static/"
# Read straight from the package: nothing to collect before the first start.
WHITENOISE_USE_FINDERS = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("REGULARS_LOG_LEVEL", "INFO")},
    "loggers": {"django.server": {"propagate": True}, "django.request": {"level": "ERROR"}},
}
