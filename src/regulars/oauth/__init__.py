"""OAuth 2.0 and OpenID Connect without HTTP: codes, refresh tokens, device codes, grants, sessions."""
