"""How a kind of service is started, stopped, checked, and found."""
