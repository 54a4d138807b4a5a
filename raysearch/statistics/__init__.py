"""How sure a score is: intervals, differences of systems, tests, and the search's optimism.

Its modules are imported one by one: a study is checked with some that need no numpy.
"""
