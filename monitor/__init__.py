"""Look at the cluster in a browser, and a few buttons (P3)."""
