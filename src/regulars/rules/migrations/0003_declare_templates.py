from django.db import migrations

# The declarations of the gallery's templates when rules were given them. Of any other template: the account alone.
DECLARED = {
    'consent-receipt': ('serve', [{'name': 'OneTrust', 'hosts': ['.onetrust.com']}, {'name': '', 'hosts': ['{CONSENT_API}']}], ['email']),
    'demographics-api': ('enrich', [{'name': 'TowerData', 'hosts': ['api.towerdata.com']}, {'name': '', 'hosts': ['{DEMOGRAPHICS_API}']}], ['email']),
    'github-email': ('serve', [{'name': 'GitHub', 'hosts': ['api.github.com']}], []),
    'hubspot-contact': ('message', [{'name': 'HubSpot', 'hosts': ['api.hubapi.com']}], ['email', 'given_name', 'family_name']),
    'intercom-contact': ('serve', [{'name': 'Intercom', 'hosts': ['api.intercom.io']}], ['user_id', 'email', 'name']),
    'linkedin-original-picture': ('serve', [{'name': 'LinkedIn', 'hosts': ['api.linkedin.com']}], []),
    'lytics-profile': ('personalise', [{'name': 'Lytics', 'hosts': ['api.lytics.io']}], ['user_id', 'user_metadata']),
    'mailchimp-member': ('message', [{'name': 'Mailchimp', 'hosts': ['.api.mailchimp.com']}], ['email']),
    'mailgun-welcome': ('message', [{'name': 'Mailgun', 'hosts': ['api.mailgun.net']}], ['email']),
    'mixpanel-login': ('measure', [{'name': 'Mixpanel', 'hosts': ['api.mixpanel.com']}], ['user_id']),
    'person-api': ('enrich', [{'name': 'FullContact', 'hosts': ['api.fullcontact.com']}, {'name': '', 'hosts': ['{PERSON_API}']}], ['email']),
    'risk-score': ('serve', [{'name': 'MaxMind', 'hosts': ['minfraud.maxmind.com']}, {'name': '', 'hosts': ['{RISK_API}']}], ['email', 'ip', 'user_agent']),
    'roles-from-service': ('serve', [{'name': '', 'hosts': ['{ROLES_URL}']}], ['user_id']),
    'salesforce-lead': ('message', [{'name': 'Salesforce', 'hosts': ['.salesforce.com']}, {'name': '', 'hosts': ['{SALESFORCE_URL}']}], ['email', 'name', 'family_name']),
    'segment-track': ('measure', [{'name': 'Segment', 'hosts': ['api.segment.io']}], ['user_id', 'ip']),
    'sendgrid-new-country': ('serve', [{'name': 'SendGrid', 'hosts': ['api.sendgrid.com']}], ['email', 'country']),
    'shopify-customer': ('serve', [{'name': 'Shopify', 'hosts': ['{SHOPIFY_STORE}']}], ['email', 'email_verified', 'given_name', 'family_name']),
    'signed-webhook': ('serve', [{'name': '', 'hosts': ['{HOOK_URL}']}], ['user_id']),
    'slack-new-customer': ('measure', [{'name': 'Slack', 'hosts': ['{SLACK_HOOK}']}], ['name', 'email', 'user_id']),
    'splunk-login': ('serve', [{'name': 'Splunk', 'hosts': ['{SPLUNK_URL}']}], ['user_id', 'ip']),
    'zapier-new-customer': ('share', [{'name': 'Zapier', 'hosts': ['{ZAP_HOOK}']}], ['user_id', 'email', 'name']),
    'enrich-us-census-income': ('enrich', [], []),
    'remember-campaign': ('measure', [], []),
}


def declare(apps, schema_editor):
    """Give rules of the gallery the declaration of their template. Rules of the operator's own stay undeclared."""
    rules, purposes = apps.get_model("rules", "Rule"), apps.get_model("consent", "Purpose")
    known = set(purposes.objects.values_list("key", flat=True))
    for rule in rules.objects.exclude(template="").filter(purpose=None):
        purpose, recipients, sends = DECLARED.get(rule.template, ("serve", [], []))
        if purpose in known:
            rules.objects.filter(pk=rule.pk).update(purpose_id=purpose, recipients=recipients, sends=sends)


class Migration(migrations.Migration):

    dependencies = [
        ("rules", "0002_declarations"),
    ]

    operations = [
        migrations.RunPython(declare, migrations.RunPython.noop),
    ]
