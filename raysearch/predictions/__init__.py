"""Predictions: made with a trained model, written as benchmarks take them, read and scored."""
