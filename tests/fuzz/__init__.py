"""Random inputs for what parses hostile bytes and follows hostile paths: `python -m tests.fuzz`."""
