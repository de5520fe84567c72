"""Figure 3 of the paper (P26 to P29): clients' response time against load, with a fixed and with a chosen stand-in."""
