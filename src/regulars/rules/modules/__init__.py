"""Modules from npm that rules may `require`: fetched at set-up, verified by sha512, linked without node.

`curated.json` is the lock file. This repository holds no third-party module; fetched ones are in the home's
folder `rules/modules` with `THIRD-PARTY.txt`, its licences.
"""
