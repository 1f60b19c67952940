"""Events: sources, the durable inbox, and the events of profiles."""
