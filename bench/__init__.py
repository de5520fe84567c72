"""What failovers cost, measured from outside on the running demo."""
