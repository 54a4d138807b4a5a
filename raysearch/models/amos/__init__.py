"""AMOS and COCO-LM for transformers: configuration, encoder, heads and tokenizer.

They are apart because transformers has no such architecture.
"""
