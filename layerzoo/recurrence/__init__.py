"""Recurrence: layers that carry a state from step to step but train in parallel."""
