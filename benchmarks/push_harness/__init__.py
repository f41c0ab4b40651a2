"""The harness that tests the push: a world in virtual time, its witness, planted bugs, real kills."""
