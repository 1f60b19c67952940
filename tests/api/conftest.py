"""Fixtures of the Management API's tests, whose client calls this API too."""

from tests.management_api.conftest import api_client

__all__ = ["api_client"]  # fixtures
