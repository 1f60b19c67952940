"""The built-in enrichment sources, one module each."""
