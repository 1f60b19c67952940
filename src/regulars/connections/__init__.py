"""Connections: the login methods that the business offers, and the kinds of provider behind them."""
