"""The door for programs: Auth0's Management API in `/api/v2`, and what Auth0 has no word for in `/api/regulars/v1`."""
