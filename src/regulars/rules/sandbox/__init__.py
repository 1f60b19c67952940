"""The sandbox of JavaScript rules: QuickJS compiled to WebAssembly, one disposable realm per login.

`engine` holds what a process needs once (engine, compiled code), `cache` the files of this home, `preinitialise` turns a
started guest into a module, `realm` is one guest with its limits, `host` answers calls at once, `library` holds the
modules that rules may require. `prelude/` is what a rule sees: `kernel.js`, and one file per area of Node and of Auth0.
"""
