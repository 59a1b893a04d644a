"""Pure functions on tensors, shared by the layers; no layer and no state lives here."""
