"""Charts: one question each, one module each.

A chart is a module with `title` (the question in words), `columns` (the heads of its table), and three plain functions:
`asks(about)` is the SQL to ask of the lake, `rows(found, about)` shapes the answer into (label, number) pairs, and
`draw(rows)` is the Vega-Lite specification. The entry point group is `regulars.charts`; the entry point loads the module.
"""
