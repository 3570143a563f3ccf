"""Measures this kernel and native ipykernel in the same run: `python -m benchmarks`."""
