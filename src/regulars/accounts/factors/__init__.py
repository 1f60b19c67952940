"""What somebody proves herself with besides a password: an authenticator app, recovery codes, passkeys.

Customers and staff alike; the doors decide when it is asked. The rows and the protocols are allauth's.
"""
