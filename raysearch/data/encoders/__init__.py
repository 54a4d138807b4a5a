"""Examples as rows of token ids: one module for each kind of input."""
