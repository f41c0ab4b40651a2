"""What-if questions as files: schema, overrides, expansion, batch runs, results."""
