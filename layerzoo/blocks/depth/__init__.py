"""The deep stacks of this family: what a paper says of the gradient, and how the blocks are stacked."""
