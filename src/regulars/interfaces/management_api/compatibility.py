"""Properties of Auth0 that have no effect in Regulars: accepted and ignored, so that a script written for Auth0 runs.

Some properties may be ignored in some values only. With another value, ignoring them would weaken security, so they are
refused by name. A property that is neither listed here nor in a schema is refused too, as Auth0 does: a misspelt property
must not look like one that was set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ninja import Schema
from pydantic import ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from regulars.interfaces.http_api.error_responses import WEAKER_SECURITY

REFUSAL = (
    "'{property}' does not support this value. Ignoring it would weaken security, so the request is rejected. Omit the "
    "property, or see docs/developer/move-from-auth0.md for what replaces it."
)
EMPTY: tuple[object, ...] = (None, "", [], {})  # requests nothing, whatever the property

# The values of a property that may be ignored: a tuple of them (for a list: of its items), a mapping by key for an object,
# or a predicate.
Harmless = Callable[[Any], bool] | tuple[object, ...] | Mapping[str, "Harmless"]


def anything(value: Any) -> bool:
    return True


def at_least(least: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and value >= least


def at_most(most: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and value <= most


def _in_any_value(names: str) -> dict[str, Harmless]:
    return dict.fromkeys(names.split(), anything)


CLIENT: Mapping[str, Harmless] = {
    **_in_any_value(
        # the console sets these per app
        "description logo_uri custom_login_page custom_login_page_on custom_login_page_preview form_template"
        # fixed behaviour: OpenID Connect, exact origins, limits that trust no header
        " oidc_conformant sso allowed_origins cross_origin_loc is_token_endpoint_ip_header_trusted"
        # no SAML or WS-Federation, no delegation, no organizations of business customers
        " addons encryption_key client_aliases allowed_clients organization_require_behavior organization_discovery_methods"
        " b2b_integration_configuration my_organization_configuration express_configuration resource_server_identifier"
        # permissions for connections and grants that do not exist here, so no client has them
        " mobile native_social_login fedcm_login session_transfer anonymous_sessions token_exchange"
        " enforce_anon_session_transfer_network_binding token_vault_privileged_access"
        " identity_assertion_authorization_grant async_approval_notification_channels"
    ),
    "jwt_configuration": {
        "alg": ("RS256",),
        "lifetime_in_seconds": at_least(36000),  # an ID token's, oauth/tokens.py
        "secret_encoded": anything,
        "scopes": anything,
    },
    "par_request_expiry": at_least(30),  # oauth/pushed_requests.py
    "sso_disabled": (False,),
    "skip_non_verifiable_callback_uri_confirmation_prompt": (True,),  # no prompt is shown
    "default_organization": (),
    "organization_usage": ("deny", "allow"),  # `require` refuses users without an organization
    "client_authentication_methods": (),  # a key instead of a secret is set by `private_key_jwt` and `jwks`
    "signed_request_object": {"required": (False,), "credentials": ()},
    "compliance_level": ("none",),
    "token_quota": {"client_credentials": {"enforce": (False,), "per_day": anything, "per_hour": anything}},
    "third_party_security_mode": ("permissive",),
    "redirection_policy": ("allow_always",),
    "oidc_support": {"is_allowed": (True,), "allow_all_scopes": (True,)},
}
REFRESH_TOKEN = _in_any_value("infinite_token_lifetime infinite_idle_token_lifetime policies")
OIDC_LOGOUT: Mapping[str, Harmless] = {
    "backchannel_logout_session_metadata": anything,
    # Events that are sent anyway, and two that cannot occur: no provider ends our sessions, no phone is a factor.
    "backchannel_logout_initiators": {
        "mode": ("custom",),
        "selected_initiators": (
            *("rp-logout", "password-changed", "session-revoked"),
            *("idp-logout", "mfa-phone-unenrolled"),
        ),
    },
}
CONNECTION: Mapping[str, Harmless] = {
    **_in_any_value("metadata connected_accounts cross_app_access_requesting_app cross_app_access_resource_app"),
    "authentication": {"active": (True,)},  # `show_as_button`: false switches a connection off
}
# `requested_claims` and `scope` say what a connection requests of its provider; Auth0's flags, one per scope, add nothing.
SCOPE_FLAGS = """
admin_org admin_public_key admin_repo_hook ads_management ads_read adsense_management
allow_context_profile_field analytics applications applications_create basic basic_profile birthday blogger
business_management calendar calendar_addons_execute calendar_events calendar_events_readonly
calendar_settings_readonly calendars calendars_update chrome_web_store contacts contacts_birthday
contacts_calendars contacts_create contacts_new contacts_other_readonly contacts_photos contacts_readonly
contacts_skydrive content_api_for_shopping coordinate coordinate_readonly delete_repo directory_accessasuser_all
directory_read_all directory_readonly directory_readwrite_all document_list drive drive_activity
drive_activity_readonly drive_appdata drive_apps_readonly drive_file drive_metadata drive_metadata_readonly
drive_photos_readonly drive_readonly drive_scripts email emails events_create follow full_profile gist gmail
gmail_compose gmail_insert gmail_labels gmail_metadata gmail_modify gmail_new gmail_readonly gmail_send
gmail_settings_basic gmail_settings_sharing google_affiliate_network google_books google_cloud_storage
google_drive google_drive_files google_plus graph_calendars graph_calendars_update graph_contacts
graph_contacts_update graph_device graph_device_command graph_emails graph_emails_update graph_files
graph_files_all graph_files_all_update graph_files_update graph_notes graph_notes_create graph_notes_update
graph_tasks graph_tasks_update graph_user graph_user_activity graph_user_update group_read_all
group_readwrite_all groups_access_member_info latitude_best latitude_city leads_retrieval mail_readwrite_all
mail_send manage_notifications manage_pages messenger moderator name network notifications openid orkut
pages_manage_cta pages_manage_instant_articles pages_messaging pages_messaging_phone_number
pages_messaging_subscriptions pages_show_list phone_numbers photos picasa_web postal_addresses postal_code
profile public_profile public_repo publish_actions publish_pages publish_to_groups publish_video
read_audience_network_insights read_insights read_mailbox read_org read_page_mailboxes read_public_key
read_repo_hook read_stream read_user repo repo_deployment repo_status rolemanagement_read_all
rolemanagement_readwrite_directory share signin sites sites_read_all sites_readwrite_all skydrive
skydrive_update tasks tasks_readonly team_readbasic_all team_readwrite_all tweet_read url_shortener
user_age_range user_birthday user_events user_friends user_gender user_groups user_hometown user_likes user_link
user_location user_managed_groups user_photos user_posts user_read_all user_readbasic_all user_status
user_tagged_places user_videos users_read webmaster_tools work_profile write_org write_public_key
write_repo_hook youtube youtube_channelmemberships_creator youtube_new youtube_readonly youtube_upload
youtubepartner
"""
OFF: Mapping[str, Harmless] = {"enable": (False,), "active": (False,), "size": anything}
OPTIONS: Mapping[str, Harmless] = {
    **_in_any_value(
        SCOPE_FLAGS
        # always on for our own database: attempts are limited, an enrolled second factor is required
        + " brute_force_protection mfa passkey_options precedence validation realm_fallback import_mode configuration"
        " enable_script_context"
        # found by discovery, or decided by the adapter of each provider
        " discovery_url oidc_metadata authorization_endpoint token_endpoint userinfo_endpoint jwks_uri domain_aliases"
        " icon_url logoutUrl attribute_map fieldsMap type protocol strategy_version set_user_root_attributes"
        " freeform_scopes allowed_audiences useOauthSpecScope customHeaders"
        # always the code flow with PKCE and a nonce, and signatures by the issuer's own keys
        " connection_settings pkce_enabled send_back_channel_nonce id_token_signed_response_algs"
        # details of a signature or a pushed request, which are refused below
        " token_endpoint_auth_signing_alg token_endpoint_jwtca_aud_format pushed_authorization_request_endpoint"
    ),
    # The password policy is set per connection in the console; none is weaker than Auth0's lowest.
    "passwordPolicy": ("none", "low"),
    "password_complexity_options": {"min_length": at_most(8)},
    "password_history": OFF,
    "password_no_personal_info": OFF,
    "password_dictionary": {**OFF, "dictionary": anything},
    "password_options": {
        "complexity": {"min_length": at_most(8)},
        "history": OFF,
        "profile_data": {**OFF, "blocked_fields": anything},
        "dictionary": {**OFF, "custom": anything, "default": anything},
    },
    # Customers sign up by e-mail with a password, and change the password themselves.
    "disable_signup": (False,),
    "disable_self_service_change_password": (False,),
    "requires_username": (False,),
    "attributes": {"email": anything},
    "authentication_methods": {
        "password": {"enabled": (True,)},
        **_in_any_value("passkey email_otp phone_otp"),
    },
    "totp": {"length": at_most(6), "time_step": at_least(600)},  # accounts/proofs/mailed_codes.py
    # Custom code may refuse a login; in Regulars rules do that.
    "customScripts": (),
    "scripts": (),
    "enabledDatabaseCustomization": (False,),
    "non_persistent_attrs": (),  # attributes that must not be stored would be
    "tenant_domain": (),
    # Further parameters for the provider at each login, such as a second factor or one domain.
    "upstream_params": (),
    "authParamsMap": (),
    "authParams": {"scope": anything, "response_type": ("code",)},
    "token_endpoint_auth_method": ("client_secret_post", "client_secret_basic"),
    "enable_pushed_authorization_requests": (False,),
    "dpop_signing_alg": (),
    "id_token_session_expiry_supported": (False,),
}


class CompatibleBody(Schema):
    """A body that ignores the properties in `without_effect` and refuses those that it does not know."""

    model_config = ConfigDict(extra="forbid")
    without_effect: ClassVar[Mapping[str, Harmless]] = {}

    @model_validator(mode="before")
    @classmethod
    def drop_without_effect(cls, sent: Any) -> Any:
        if not isinstance(sent, dict):
            return sent
        for name in sent.keys() & cls.without_effect.keys():
            if not _is_harmless(sent[name], cls.without_effect[name]):
                raise PydanticCustomError(WEAKER_SECURITY, REFUSAL, {"property": name})
        return {key: value for key, value in sent.items() if key not in cls.without_effect}


def _is_harmless(value: Any, harmless: Harmless) -> bool:
    if value in EMPTY:
        return True
    if callable(harmless):
        return harmless(value)
    if isinstance(harmless, Mapping):
        return isinstance(value, dict) and all(
            key in harmless and _is_harmless(inner, harmless[key]) for key, inner in value.items()
        )
    return all(each in harmless for each in (value if isinstance(value, list) else [value]))
