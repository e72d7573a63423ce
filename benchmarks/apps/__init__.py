"""The servers under test: each the program its users would write."""
