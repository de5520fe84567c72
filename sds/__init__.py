"""The Service Description Server: who is here, who holds what, since which epoch."""
