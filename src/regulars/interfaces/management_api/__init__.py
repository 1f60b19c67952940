"""Auth0's Management API, in `/api/v2`."""
