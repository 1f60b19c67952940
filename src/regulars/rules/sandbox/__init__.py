"""Where a stranger's JavaScript runs: QuickJS compiled to WebAssembly, one throw-away machine per login.

`machine` owns what a process needs once (engine, compiled code), `cache` is where this home keeps it, `bake` freezes a
started machine into a module, `realm` is one machine with its limits, `host` answers it at once, `library` holds the
modules that it may require.
`prelude/` is what a rule sees: `kernel.js`, and one file per room of Node and of Auth0.
"""
