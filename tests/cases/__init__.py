"""Attacks on the kernel, faults, and ways to wear it out: lists of cases and what runs them.

`lists/*.toml` say what each case runs and what has to come of it, `model.py` what the words mean.
`test_cells.py` runs those that are one cell; those marked as `driven` have tests of their own, in
`test_floods.py`, `test_faults.py` and others that name them.
"""
