"""What is made from cards: pages, drawings, standalone files, demos and costs."""
