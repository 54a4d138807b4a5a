"""The views of an example that consistency training compares (stabletune, Zheng et al., 2021).

A view has the same words, some of them in other languages, divided otherwise, or translated. All
random numbers come from the `random.Random` that a function is given.
"""
