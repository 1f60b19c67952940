"""`/me/security`: how she signs in, where she is signed in, and ending it."""
