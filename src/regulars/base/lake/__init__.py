"""The lake: what happened and what may be used, as Delta tables, read by an analytic engine. The only way to either."""
