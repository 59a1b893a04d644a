"""What a user starts: the command line, tests in pytest, targets, reports, and a first card for a class."""
