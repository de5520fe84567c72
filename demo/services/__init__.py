"""The demo's three services as real foreground programs: HTTP, FTP and mail (P22)."""
