"""The conversion of fairseq's checkpoints into transformers folders."""
