"""Everything that touches the world, and the record of it."""
