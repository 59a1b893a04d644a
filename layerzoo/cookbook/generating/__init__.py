"""A small character model that generates text step by step, and what its steps cost in time and memory."""
