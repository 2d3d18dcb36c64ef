"""Services that tests start themselves and clean up again; everything stays on this machine's loopback."""
