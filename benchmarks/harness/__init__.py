"""What all server measurements share: the machine, a server, its load, a report."""
