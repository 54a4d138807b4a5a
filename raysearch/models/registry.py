"""The architectures that transformers lacks, made known to its Auto classes by being imported: the
configurations and tokenizers. Their models follow once one is configured, see `configured`."""

from transformers import AutoConfig, AutoTokenizer

from .amos.configuration import AmosConfig
from .amos.tokenization import AmosTokenizer
from .cross_thought.configuration import CrossThoughtConfig

# Configuration -> its own tokenizer; Cross-Thought has RoBERTa's, with pairs of its own.
FAMILIES = {AmosConfig: AmosTokenizer, CrossThoughtConfig: None}


def register() -> None:
    """Let AutoConfig and AutoTokenizer know the families; twice does no harm."""
    for config, tokenizer in FAMILIES.items():
        AutoConfig.register(config.model_type, config, exist_ok=True)
        if tokenizer is not None:
            AutoTokenizer.register(config, tokenizer, exist_ok=True)


register()
