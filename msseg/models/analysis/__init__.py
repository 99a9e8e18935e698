"""What a model costs: operators, multiplications, memory."""
