"""Adapter: the only folder that knows what a web server is."""
