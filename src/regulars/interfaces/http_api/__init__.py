"""What every JSON interface shares: access checks, request bodies, error bodies."""
