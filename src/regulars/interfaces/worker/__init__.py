"""The door of time: what is waiting gets done, and what is due by the clock gets begun."""
