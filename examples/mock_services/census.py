"""A mock service for the US Census Bureau's Data API: median household income of ZIP code areas, with invented amounts."""

from __future__ import annotations

import re

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

INCOME, AREA = "B19013_001E", "zip code tabulation area"
NO_ESTIMATE = "-666666666"  # what the Bureau answers for areas with too few households

INCOMES = {
    "10001": "106509",
    "98101": "52000",
    "94103": "71300",
    "60614": "118200",
    "73301": NO_ESTIMATE,
    "59718": "83900",
}

# Keys that make the API misbehave the way the real one does.
INVALID, MAINTENANCE, DOWN = "invalid", "maintenance", "down"
PAGES = {
    INVALID: HTMLResponse("<html><head><title>Invalid Key</title></head><body>A valid key is needed.</body></html>"),
    MAINTENANCE: HTMLResponse("<html><head><title>Scheduled maintenance</title></head><body>Back soon.</body></html>"),
    DOWN: PlainTextResponse("Service Unavailable", 503),
}


def app() -> Starlette:
    """`GET /{year}/acs/acs5?get=B19013_001E&for=zip code tabulation area:10001&key=…`, answered like the real API."""
    return Starlette(routes=[Route("/{year:int}/acs/acs5", acs5)])


async def acs5(request: Request) -> Response:
    """Return a table, 204 for an uninhabited area, 400 as text, an HTML page when the key is wrong or missing."""
    asked = request.query_params
    key = asked.get("key", "") or INVALID
    if key in PAGES:
        return PAGES[key]
    if not 2011 <= request.path_params["year"] <= 2024:
        return HTMLResponse("<html><head><title>404 Not Found</title></head></html>", 404)
    variables = asked.get("get", "").split(",")
    unknown = [name for name in variables if name not in ("NAME", INCOME)]
    if unknown:
        return PlainTextResponse(f"error: unknown variable '{unknown[0]}'", 400)
    match = re.fullmatch(rf"{AREA}:(\d{{5}})", asked.get("for", ""))
    if not match:
        return PlainTextResponse("error: unknown/unsupported geography heirarchy", 400)
    if match[1] not in INCOMES:
        return Response(status_code=204)
    known = {"NAME": f"ZCTA5 {match[1]}", INCOME: INCOMES[match[1]]}
    return JSONResponse([[*variables, AREA], [*(known[name] for name in variables), match[1]]])
