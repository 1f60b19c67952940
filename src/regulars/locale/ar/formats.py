"""How days and times are written in Arabic. Django has no form for both together, and would mix the English one in."""

DATE_FORMAT = "j F Y"
TIME_FORMAT = "g:i A"
DATETIME_FORMAT = "j F Y، g:i A"
