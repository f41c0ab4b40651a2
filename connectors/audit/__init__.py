"""The audit log: a ledger whose rows are chained, its proof, and checkpoints that reach outside it."""
