"""What-if questions as files: schema, expansion, batch runs, results."""
