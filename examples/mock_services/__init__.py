"""Mock services for other people's services, so that the demo and the tests work without internet. Clearly not the real ones."""
