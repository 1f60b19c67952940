"""Shared parts of the hosted pages: layout, branding, language, page policy, and the browser's session."""
