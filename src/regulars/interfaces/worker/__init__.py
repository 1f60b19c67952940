"""The worker: runs jobs and periodic tasks."""
