"""The client of the Management API calls this API too."""

from tests.management_api.conftest import program

__all__ = ["program"]  # fixtures
