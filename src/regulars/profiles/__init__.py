"""What we know: accounts, profiles, identities, and facts that each know their source."""
