"""The version of the configuration, by which every process knows at once that what it cached has changed."""
