"""The demo: its story, its world, its report."""
