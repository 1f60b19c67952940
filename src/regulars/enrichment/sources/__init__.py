"""The enrichment sources that come with the house, one module each."""
