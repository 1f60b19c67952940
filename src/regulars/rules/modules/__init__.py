"""Modules from npm that rules may `require`: fetched when the house is set up, checked by sha512, linked by us, no node.

`curated.json` is the lock file. Nothing of a third party is in this repository; what was fetched lies in the home's
folder `rules/modules` with `THIRD-PARTY.txt`, its licences.
"""
