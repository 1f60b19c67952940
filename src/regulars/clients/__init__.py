"""OAuth clients, APIs and their grants, and how sign-in pages look for each client."""
