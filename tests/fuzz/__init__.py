"""Seeded generators of broken and hostile input, a kind for every boundary of the package.

Whatever is read must be accepted or refused by a RaysearchError: `python -m tests.fuzz --help`."""
