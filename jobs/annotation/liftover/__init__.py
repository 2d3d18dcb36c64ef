"""Lift-over: moves the records of a file from the genome build that it was made against to that of a reference."""
