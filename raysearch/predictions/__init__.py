"""Predictions: made with a trained model, written in the benchmarks' formats, read and scored.

It is apart from training because scoring needs neither models nor torch.
"""
