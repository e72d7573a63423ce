"""Tools for tests: ours, and yours."""
