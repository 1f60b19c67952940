"""The lake: events and permitted views as Delta tables, read by an analytic engine. No other package opens them."""
