"""Regulars: get to know your customers at the moment they log in."""

__version__ = "0.1.0"
