"""Cross-Thought (Wang et al., 2020) as a transformers family."""
