"""Tools without a noun of our trade: conditions, the lake, jobs and the kit under them."""
