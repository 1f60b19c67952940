"""Moments as programs write them."""

from __future__ import annotations

import datetime as dt

import pytest

from regulars.base.moments import read_moment

NOON = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-24T12:00:00Z",
        "2026-11-24t12:00:00z",
        "2026-11-24T12:00:00.000000000Z",
        "2026-11-24T12:00Z",
        "2026-11-24T13:00:00+01:00",
        "2026-11-24T13:00:00+0100",
        "2026-11-24T13:00:00+01",
        "2026-11-24T13:00:00+01:00[Europe/Berlin]",
        "2026-11-24 12:00:00 UTC",
        "2026-11-24 12:00:00 GMT",
        "2026-11-24 12:00:00 +0000",
        "2026-11-24 12:00:00.000 +0000 UTC m=+0.000012345",
        " 2026-11-24T12:00:00 ",
        "2026/11/24 12:00:00",
        "20261124T120000Z",
        "20261124120000",
        "Tue, 24 Nov 2026 12:00:00 GMT",
        "Tue, 24 Nov 2026 13:00:00 +0100",
        "24 Nov 2026 12:00:00 +0000",
        "Tue Nov 24 2026 13:00:00 GMT+0100 (Central European Standard Time)",
        "Tue Nov 24 2026 13:00:00 GMT+0100 (Cent",
        "Tue Nov 24 12:00:00 2026",
        1795521600,
        1795521600.0,
        1795521600000,
        1795521600000000,
        1795521600000000000,
        "1795521600",
        "1795521600000",
        "1795521600.000",
    ],
)
def test_noon_is_read_however_it_is_written(written):
    assert read_moment(written) == NOON


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-11-24T24:00:00Z", dt.datetime(2026, 11, 25, tzinfo=dt.UTC)),
        ("2026-12-31T24:00", dt.datetime(2027, 1, 1, tzinfo=dt.UTC)),
        ("2016-12-31T23:59:60Z", dt.datetime(2017, 1, 1, tzinfo=dt.UTC)),
        ("2026-11-24T12:00:00.1234567Z", NOON.replace(microsecond=123456)),
        ("2026-11-24T12:00:00,5Z", NOON.replace(microsecond=500000)),
        ("2026-11-24", dt.datetime(2026, 11, 24, tzinfo=dt.UTC)),
        ("20261124", dt.datetime(2026, 11, 24, tzinfo=dt.UTC)),
        ("2026-W48-2", dt.datetime(2026, 11, 24, tzinfo=dt.UTC)),
        (1795521600.25, NOON.replace(microsecond=250000)),
        (1795521600123, NOON.replace(microsecond=123000)),
    ],
)
def test_moment_at_an_edge_is_read(written, moment):
    assert read_moment(written) == moment


@pytest.mark.parametrize(
    "written",
    [
        *(None, True, False, "", "yesterday", "now", 17, -1795521600, 0, "0", "17", float("nan"), float("inf"), 1e300),
        *("2026-13-01T00:00:00Z", "2026-02-30", "2026-11-24T25:00:00Z", "2026-11-24T24:00:01Z", "2026-11-24T12:60:00Z"),
        *("2026-11-24T12:00:61Z", "9" * 400, "{}", {}, [], ["2026-11-24"], "2026-11-24T12:00:00+99:00", "٢٠٢٦-١١-٢٤"),
        "9999-12-31T24:00:00Z",
    ],
)
def test_what_names_no_moment_is_none(written):
    assert read_moment(written) is None
