"""The architectures that transformers lacks, made known to its Auto classes by being imported.

It knows nothing of an architecture: each is a module with CONFIG, TOKENIZER (or None), and MODELS,
from Auto class to model."""

from transformers import AutoConfig, AutoTokenizer

from . import amos, cross_thought

FAMILIES = (amos, cross_thought)


def register() -> None:
    """Let AutoConfig, AutoTokenizer and each AutoModel know the families; twice does no harm."""
    for family in FAMILIES:
        config = family.CONFIG
        AutoConfig.register(config.model_type, config, exist_ok=True)
        for auto, model in family.MODELS.items():
            auto.register(config, model, exist_ok=True)
        if family.TOKENIZER is not None:
            AutoTokenizer.register(config, family.TOKENIZER, exist_ok=True)


register()
