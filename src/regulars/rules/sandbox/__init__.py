"""Where a stranger's JavaScript runs: QuickJS compiled to WebAssembly, one throw-away machine per login.

`machine` owns what a process needs once (engine, compiled code), `bake` freezes a started machine into a module,
`realm` is one machine with its limits, `kernel.js` is what a rule sees.
"""
