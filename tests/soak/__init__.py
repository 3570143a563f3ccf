"""Random cells in one kernel, for as long as one likes: `python -m tests.soak --cells 2000`."""
