"""Names, shapes and rules of Hugging Face's GPT-2 and Llama, from what a ``config.json`` says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from fastinit.depth import gpt2_residual_std
from fastinit.errors import ArgumentError, ArgumentTypeError, unknown_name
from fastinit.registry import InitializerLike, get

__all__ = ["FAMILIES", "Family", "family_of"]

Shapes: TypeAlias = "Iterator[tuple[str, tuple[int, ...]]]"


class Family(NamedTuple):
    """What a configuration stands for.

    The recipe is the initialization of the model's own code. A matrix is (out, in), as PyTorch's
    Linear has it, but those that fit a pattern of `in_out`, which are (in, out).
    """

    shapes: dict[str, tuple[int, ...]]
    recipe: dict[str, InitializerLike]
    dtype: str
    in_out: tuple[str, ...]


class _Config:
    """A configuration whose numbers are checked when they are read."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def count(self, name: str, default: int | None = None) -> int:
        value = self._values.get(name)
        if value is None:
            value = default
        if type(value) is not int or value < 1:
            raise ArgumentError(f"{name} must be a positive integer, got {value!r}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self._values.get(name, default)
        if not isinstance(value, bool):
            raise ArgumentTypeError(f"{name} must be true or false, got {value!r}")
        return value

    def std(self) -> float:
        value = self._values.get("initializer_range", 0.02)
        if type(value) not in (int, float) or value < 0:
            raise ArgumentError(f"initializer_range must be a number, got {value!r}")
        return float(value) or 0.02  # which Hugging Face's code does, too

    def head(self, model: str, whole: str) -> bool:
        """Say whether the language model's head belongs to it."""
        names = self._values.get("architectures") or [whole]
        if names not in ([model], [whole]):
            raise ArgumentError(f"architectures must be [{model!r}] or [{whole!r}], got {names!r}")
        return bool(names == [whole])


def family_of(values: Mapping[str, Any]) -> Family:
    """Return what a configuration stands for.

    Parameters
    ----------
    values : mapping
        What a ``config.json`` holds; ``model_type`` is gpt2 or llama. What it does not say has the
        default of Hugging Face's class. Where the embeddings are tied, the head is left out, as
        in Hugging Face's files.

    Returns
    -------
    Family

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If the model is another one, or a value cannot be used.

    Examples
    --------
    >>> from fastinit.checkpoints.families import family_of
    >>> family = family_of({"model_type": "gpt2", "n_layer": 1})
    >>> family.shapes["transformer.h.0.attn.c_attn.weight"]
    (768, 2304)
    """
    kind = values.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise unknown_name("model_type", kind, FAMILIES)
    dtype = values.get("dtype") or values.get("torch_dtype") or "float32"
    return FAMILIES[kind](_Config(values))._replace(dtype=dtype)


def _gpt2(config: _Config) -> Family:
    width, layers = config.count("n_embd", 768), config.count("n_layer", 12)
    if width % config.count("n_head", 12):
        raise ArgumentError(f"n_embd={width} is no multiple of n_head")
    inner = config.count("n_inner", 4 * width)
    vocabulary, head = (
        config.count("vocab_size", 50257),
        config.head("GPT2Model", "GPT2LMHeadModel"),
    )
    crossed = config.flag("add_cross_attention", False)

    def norm(name: str) -> Shapes:
        yield f"{name}.weight", (width,)
        yield f"{name}.bias", (width,)

    def conv(name: str, inputs: int, outputs: int) -> Shapes:
        yield f"{name}.weight", (inputs, outputs)
        yield f"{name}.bias", (outputs,)

    def block(name: str) -> Shapes:
        yield from norm(f"{name}.ln_1")
        yield from conv(f"{name}.attn.c_attn", width, 3 * width)
        yield from conv(f"{name}.attn.c_proj", width, width)
        yield from norm(f"{name}.ln_2")
        if crossed:
            yield from conv(f"{name}.crossattention.c_attn", width, 2 * width)
            yield from conv(f"{name}.crossattention.q_attn", width, width)
            yield from conv(f"{name}.crossattention.c_proj", width, width)
            yield from norm(f"{name}.ln_cross_attn")
        yield from conv(f"{name}.mlp.c_fc", width, inner)
        yield from conv(f"{name}.mlp.c_proj", inner, width)

    def model(prefix: str) -> Shapes:
        yield f"{prefix}wte.weight", (vocabulary, width)
        yield f"{prefix}wpe.weight", (config.count("n_positions", 1024), width)
        for i in range(layers):
            yield from block(f"{prefix}h.{i}")
        yield from norm(f"{prefix}ln_f")
        if head and not config.flag("tie_word_embeddings", True):
            yield "lm_head.weight", (vocabulary, width)

    std = config.std()
    recipe: dict[str, InitializerLike] = {
        "*.bias": "zeros",
        "*ln_*.weight": "ones",
        "*.c_proj.weight": get("normal", std=gpt2_residual_std(layers, std)),
        "*": get("normal", std=std),
    }
    return Family(
        dict(model("transformer." if head else "")), recipe, "float32", ("*.c_*", "*.q_*")
    )


def _llama(config: _Config) -> Family:
    width, heads = config.count("hidden_size", 4096), config.count("num_attention_heads", 32)
    if width % heads:
        raise ArgumentError(f"hidden_size={width} is no multiple of num_attention_heads={heads}")
    head_width = config.count("head_dim", width // heads)
    queries = heads * head_width
    keys = config.count("num_key_value_heads", heads) * head_width
    inner, layers = config.count("intermediate_size", 11008), config.count("num_hidden_layers", 32)
    vocabulary = config.count("vocab_size", 32000)
    head = config.head("LlamaModel", "LlamaForCausalLM")
    attention_bias, mlp_bias = config.flag("attention_bias", False), config.flag("mlp_bias", False)

    def linear(name: str, inputs: int, outputs: int, bias: bool) -> Shapes:
        yield f"{name}.weight", (outputs, inputs)
        if bias:
            yield f"{name}.bias", (outputs,)

    def block(name: str) -> Shapes:
        yield from linear(f"{name}.self_attn.q_proj", width, queries, attention_bias)
        yield from linear(f"{name}.self_attn.k_proj", width, keys, attention_bias)
        yield from linear(f"{name}.self_attn.v_proj", width, keys, attention_bias)
        yield from linear(f"{name}.self_attn.o_proj", queries, width, attention_bias)
        yield from linear(f"{name}.mlp.gate_proj", width, inner, mlp_bias)
        yield from linear(f"{name}.mlp.up_proj", width, inner, mlp_bias)
        yield from linear(f"{name}.mlp.down_proj", inner, width, mlp_bias)
        yield f"{name}.input_layernorm.weight", (width,)
        yield f"{name}.post_attention_layernorm.weight", (width,)

    def model(prefix: str) -> Shapes:
        yield f"{prefix}embed_tokens.weight", (vocabulary, width)
        for i in range(layers):
            yield from block(f"{prefix}layers.{i}")
        yield f"{prefix}norm.weight", (width,)
        if head and not config.flag("tie_word_embeddings", False):
            yield "lm_head.weight", (vocabulary, width)

    recipe: dict[str, InitializerLike] = {
        "*.bias": "zeros",
        "*norm.weight": "ones",
        "*": get("normal", std=config.std()),
    }
    return Family(dict(model("model." if head else "")), recipe, "float32", ())


FAMILIES: dict[str, Callable[[_Config], Family]] = {"gpt2": _gpt2, "llama": _llama}
