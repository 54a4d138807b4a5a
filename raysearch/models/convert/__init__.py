"""Checkpoints of fairseq as transformers folders."""
