"""Recurrence: layers that carry a state from step to step, trained in parallel."""
