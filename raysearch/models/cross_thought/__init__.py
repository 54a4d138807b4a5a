"""Cross-Thought (Wang et al., 2020) for transformers: configuration, encoder and heads.

They are apart because transformers has no such architecture.
"""
