"""The views of an example that consistency training compares (stabletune, Zheng et al., 2021): the
same words switched to other languages, divided otherwise, or translated.

Whatever is drawn comes from the `random.Random` that is given."""
