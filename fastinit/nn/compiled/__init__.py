"""The compiled training loop: `table` describes layers, `parts` computes them, `engine` walks."""
