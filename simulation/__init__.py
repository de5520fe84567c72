"""The real machines in virtual time: faults from a seed, and a judge."""
