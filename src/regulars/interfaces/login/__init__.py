"""Hosted login pages, and login forms that apps draw themselves (`embedded`)."""
