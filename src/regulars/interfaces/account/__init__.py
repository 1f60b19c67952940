"""The customer's own pages under `/me`: data, consent, linked accounts, security, export and erasure."""
