"""AMOS and COCO-LM as a transformers family."""
