"""raysearch finds fine-tuning hyperparameters of a text encoder and writes the paper's table."""

__version__ = "0.1.0"
