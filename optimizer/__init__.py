"""Policies evaluated in the twin, searched, and turned into plans. It cannot reach the world."""
