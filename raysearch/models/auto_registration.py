"""Registers the architectures that transformers lacks with its Auto classes, when imported.

It registers configurations and tokenizers alone, which load quickly. A family's models are
registered when its first configuration is made, see `configuration_rules`.
"""

from typing import Any

from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig

from .amos.configuration import AmosConfig
from .amos.tokenization import AmosTokenizer
from .cross_thought.configuration import CrossThoughtConfig

# Configuration -> tokenizer; Cross-Thought uses RoBERTa's, with a template of its own for pairs.
FAMILIES: dict[type[PreTrainedConfig], type[AmosTokenizer] | None] = {
    AmosConfig: AmosTokenizer,
    CrossThoughtConfig: None,
}


def register() -> None:
    """Register the families with AutoConfig and AutoTokenizer; may be called again."""
    for config, tokenizer in FAMILIES.items():
        AutoConfig.register(config.model_type, config, exist_ok=True)
        if tokenizer is not None:
            known: Any = AutoTokenizer  # its `register` has no types
            known.register(config, tokenizer, exist_ok=True)


register()
