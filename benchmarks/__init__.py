"""One file per claim: ours against a yardstick, interleaved in one run, told as a ratio."""
