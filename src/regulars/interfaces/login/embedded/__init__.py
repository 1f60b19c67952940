"""Login forms that apps show themselves: Auth0's Lock and auth0-js, and our own component. Opt-in per app."""
