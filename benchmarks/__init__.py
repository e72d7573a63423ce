"""Every figure of the README comes from a command in this package.

* ``python -m benchmarks.adapter``: a server of each kind under load.
* ``python -m benchmarks.actors``: what one message, ask or actor costs.
* ``python -m benchmarks.plots``: charts of what they wrote.
"""
