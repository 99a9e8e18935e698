"""From images to scores and labels: whole, in windows, over scales and flips."""
