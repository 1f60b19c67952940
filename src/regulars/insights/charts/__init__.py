"""Charts, one module each.

A chart is a module with `title` (its question in words), `columns` (the heads of its table), and three plain functions:
`query(scope)` is the query of the lake, `rows(found, scope)` shapes the result into (label, number) pairs, and `draw(rows)`
is the Vega-Lite specification. The entry point group is `regulars.charts`; the entry point loads the module.
"""
