"""Speed of each connector against its real peer; ``benchmarks/connectors.py`` runs it."""
