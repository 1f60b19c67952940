"""One benchmark per claim: Regulars against a yardstick, interleaved in one run, printed as a ratio."""
