"""The API of Regulars itself: segments and profiles in `/api/regulars/v1`, questions inside an app in `/api/me`."""
