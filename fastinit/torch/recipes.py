r"""Recipes for PyTorch models: which initializer takes the place of a parameter's own rule.

A recipe is a mapping, tried in its order; the first key that fits decides. A key is

- a pattern of qualified names, as in `fastinit.Mixed`: ``"*.bias"``, ``"head.*"``; a tied parameter
  is fitted by any of its names;
- a type of module, or a tuple of types, subclasses included.

A value is

- what `fastinit.get` takes: a name, a call in words, an `Initializer`, a function. Under a type, it
  is for the parameters of two or more axes alone;
- under a type, a mapping of the parameters' own names to these: ``{"weight": "ones"}``; those it
  does not name are left to the keys that follow;
- None: the module's own rule stays.

Initializers count axes as everywhere in fastinit, and are shown a PyTorch weight in that order; one
that scales by a fan gets the layer's (`fastinit.torch.layers.fans`), unless it has ``fans=`` of its
own.

>>> from torch import nn
>>> recipe = {"head.*": "zeros", nn.Linear: {"weight": "lecun_normal", "bias": "zeros"}}

The functions here make recipes of papers and codes, for the names that their docstrings give.
Change one by building on it: ``{"head.weight": "zeros", **vit()}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from torch import Tensor, nn

from fastinit import depth
from fastinit.errors import ArgumentError, ArgumentTypeError
from fastinit.initializers import Elementwise, Initializer, VarianceScaling, law_of
from fastinit.recipes import matches
from fastinit.registry import InitializerLike, get
from fastinit.sampling import Constant, Normal, TruncatedNormal
from fastinit.torch import init, layers

__all__ = [
    "Recipe",
    "apply_recipe",
    "check_recipe",
    "gpt2",
    "initializer_for",
    "mup",
    "mup_factors",
    "resnet",
    "t5",
    "vit",
]

Key: TypeAlias = "str | type[nn.Module] | tuple[type[nn.Module], ...]"
Rule: TypeAlias = "InitializerLike | Mapping[str, InitializerLike | None] | None"
Recipe: TypeAlias = "Mapping[Key, Rule]"
Checked: TypeAlias = "list[tuple[Key, Initializer | dict[str, Initializer | None] | None]]"

ZEROS, ONES = Elementwise(Constant(0.0)), Elementwise(Constant(1.0))
NORMS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase, nn.RMSNorm)


class ByShape(VarianceScaling):
    """By the fans of a kernel's shape, as papers count them: without groups or strides."""


def _normal(std: float) -> Initializer:
    return Elementwise(Normal(0.0, std))


def check_recipe(recipe: Recipe | None) -> Checked:
    """Return a recipe's lines with their initializers made, or say which line is wrong.

    Parameters
    ----------
    recipe : mapping or None
        By patterns of qualified names, types of modules or tuples of types.

    Returns
    -------
    list of (key, rule)
        The rule is an initializer, None, or a dict of them by a parameter's own name.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If a key or a rule is none; the line is named.

    Examples
    --------
    >>> from torch import nn
    >>> from fastinit.torch.recipes import check_recipe
    >>> [rule for _, rule in check_recipe({"*.bias": "zeros", nn.Linear: "he_normal"})]
    [zeros(), he_normal()]
    """
    if recipe is None:
        return []
    if not isinstance(recipe, Mapping):
        raise ArgumentTypeError(f"a recipe is a mapping, got {recipe!r}")
    return [(_key(key), _rule(key, value)) for key, value in recipe.items()]


def _key(key: Any) -> Key:
    kinds = key if isinstance(key, tuple) else (key,)
    if isinstance(key, str) or all(isinstance(k, type) and issubclass(k, nn.Module) for k in kinds):
        return key
    raise ArgumentTypeError(
        f"a recipe's key is a pattern, a type of module or a tuple of types, got {key!r}"
    )


def _rule(key: Any, value: Any) -> Initializer | dict[str, Initializer | None] | None:
    if isinstance(value, Mapping):
        if isinstance(key, str):
            raise ArgumentTypeError(
                f"recipe[{key!r}]: only a type of module has a mapping of parameters, got {value!r}"
            )
        return {name: _made(key, one) for name, one in value.items()}
    return _made(key, value)


def _made(key: Any, value: Any) -> Initializer | None:
    try:
        return None if value is None else get(value)
    except (ArgumentError, ArgumentTypeError) as error:
        raise type(error)(f"recipe[{key!r}]: {error}") from None


def initializer_for(
    rules: Checked, module: nn.Module, name: str, names: tuple[str, ...], parameter: Tensor
) -> Initializer | None:
    """Return the initializer of a parameter, with its layer's fans; or None for its own rule.

    Parameters
    ----------
    rules : list of (key, rule)
        What `check_recipe` returned.
    module : Module
        The parameter's module.
    name : str
        Its name there.
    names : tuple of str
        Its names in the model.
    parameter : Tensor
        The parameter.

    Returns
    -------
    Initializer or None
        What the first line that fits says.

    Raises
    ------
    ArgumentError
        If the layer's fans are asked for and it has none of them.

    Examples
    --------
    >>> from torch import nn
    >>> from fastinit.torch.recipes import check_recipe, initializer_for
    >>> layer, rules = nn.Conv2d(8, 8, 3, groups=8), check_recipe({nn.Conv2d: "he_normal"})
    >>> initializer_for(rules, layer, "weight", ("0.weight",), layer.weight)
    he_normal(fans=(9.0, 9.0))
    """
    for key, rule in rules:
        if isinstance(key, str):
            if not any(matches(key, one) for one in names):
                continue
        elif not isinstance(module, key):
            continue
        elif isinstance(rule, dict):
            if name not in rule:
                continue
            rule = rule[name]
        elif parameter.ndim < 2:
            continue
        assert not isinstance(rule, dict)  # only types have them
        if type(rule) is VarianceScaling and rule.fans is None:
            own = layers.fans(module, name)
            return rule if own is None else replace(rule, fans=own)
        return rule
    return None


def apply_recipe(model: nn.Module, rules: Checked) -> None:
    """Fill those parameters of a model that a recipe has an initializer for.

    Parameters
    ----------
    model : Module
        Changed in place.
    rules : list of (key, rule)
        What `check_recipe` returned.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If an initializer does not fit a parameter, which is named.

    Examples
    --------
    >>> from torch import nn
    >>> from fastinit.torch.recipes import apply_recipe, check_recipe
    >>> model = nn.Sequential(nn.Linear(3, 2))
    >>> apply_recipe(model, check_recipe({"*.bias": "constant(0.5)"}))
    >>> model[0].bias.tolist()
    [0.5, 0.5]
    """
    if not rules:
        return
    for module, name, names, parameter in layers.places(model):
        initializer = initializer_for(rules, module, name, names, parameter)
        if initializer is None:
            continue
        try:
            _fill(module, parameter.detach(), initializer)
        except (ArgumentError, ArgumentTypeError) as error:
            raise type(error)(f"{names[0]}: {error}") from None


def _fill(module: nn.Module, tensor: Tensor, initializer: Initializer) -> None:
    try:
        law = law_of(initializer, layers.catalogue_shape(module, tensor))
    except ArgumentTypeError:  # its elements are no independent draws, and the axes matter
        init.apply_(tensor.transpose(0, 1) if layers.transposed(module) else tensor, initializer)
        return
    if not init.filled(tensor, law):
        raise ArgumentTypeError(f"cannot be drawn in {tensor.dtype}")


def gpt2(blocks: int, std: float = 0.02) -> Recipe:
    r"""Return the initialization of GPT-2.

    Every kernel and embedding is :math:`N(0, \text{std}^2)`, but those of the projections that
    write to the residual stream, two in each block,
    :math:`N(0, \text{std}^2 / (2\,\text{blocks}))`. Biases are 0, normalizations the identity.

    Parameters
    ----------
    blocks : int
        How many the model has.
    std : float, default 0.02
        The standard deviation.

    Returns
    -------
    dict
        For the names of nanoGPT and of Hugging Face's GPT-2: ``*c_proj.weight`` are the residual
        projections; ``*c_attn.weight`` and ``*c_fc.weight`` are named for Hugging Face's Conv1D,
        which is no Linear. All else goes by types.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If `blocks` is no positive integer, or `std` negative.

    References
    ----------
    Radford, Wu, Child, Luan, Amodei, Sutskever: Language models are unsupervised multitask learners
    (2019).

    Examples
    --------
    >>> from fastinit.torch.recipes import gpt2
    >>> gpt2(8)["*c_proj.weight"]
    normal(std=0.005)
    """
    normal = _normal(std)
    return {
        "*c_proj.weight": _normal(depth.gpt2_residual_std(blocks, std)),
        "*c_attn.weight": normal,
        "*c_fc.weight": normal,
        "*c_*.bias": ZEROS,
        (nn.Linear, nn.Embedding): {"weight": normal, "bias": ZEROS},
        NORMS: {"weight": ONES, "bias": ZEROS},
    }


def vit(std: float = 0.02) -> Recipe:
    r"""Return the initialization of the Vision Transformer, as PyTorch codes have it.

    Kernels and positions are normal of standard deviation `std`, cut at two of them; the class
    token nearly 0; the patch embedding LeCun's; the classifier, biases and normalizations' shifts
    0.

    Parameters
    ----------
    std : float, default 0.02
        The standard deviation before the cut.

    Returns
    -------
    dict
        For the names of timm and torchvision: ``pos_embed``, ``pos_embedding``, ``cls_token``,
        ``class_token``, ``head`` and ``heads.head``. All else goes by types.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If `std` is negative, or no number.

    References
    ----------
    Dosovitskiy et al.: An image is worth 16x16 words: transformers for image recognition at scale.
    arXiv:2010.11929 (2020). Touvron et al.: Training data-efficient image transformers and
    distillation through attention. arXiv:2012.12877 (2020).

    Examples
    --------
    >>> from fastinit.torch.recipes import vit
    >>> vit()["*pos_embed*"]
    truncated_normal(std=0.02)
    """
    cut = Elementwise(TruncatedNormal(0.0, std))
    return {
        "*pos_embed*": cut,
        "*cls_token": _normal(1e-6),
        "*class_token": _normal(1e-6),
        "*head.weight": ZEROS,
        nn.Linear: {"weight": cut, "bias": ZEROS},
        nn.MultiheadAttention: {"in_proj_weight": cut, "in_proj_bias": ZEROS},
        nn.modules.conv._ConvNd: {"weight": VarianceScaling(), "bias": ZEROS},
        NORMS: {"weight": ONES, "bias": ZEROS},
    }


def resnet(last: str = "bn3") -> Recipe:
    r"""Return the initialization of residual networks: He's by fan_out, branches that start at 0.

    Convolutions are :math:`N(0, 2 / \text{fan\_out})`, the last normalization of each branch
    multiplies by 0, so that a block starts as the identity; the others are the identity. The
    fan_out is the paper's and PyTorch's: neither groups nor strides count.

    Parameters
    ----------
    last : str, default "bn3"
        The last normalization of a branch: ``"bn3"`` for bottleneck blocks (ResNet-50 and deeper),
        ``"bn2"`` for basic ones (ResNet-18, 34).

    Returns
    -------
    dict
        For the names of torchvision and timm, in which `last` is the only one that matters.

    References
    ----------
    He, Zhang, Ren, Sun: Delving deep into rectifiers. arXiv:1502.01852 (2015). Goyal et al.:
    Accurate, large minibatch SGD. arXiv:1706.02677 (2017), for the zero.

    Examples
    --------
    >>> from fastinit.torch.recipes import resnet
    >>> list(resnet("bn2"))[0]
    '*.bn2.weight'
    """
    return {
        f"*.{last}.weight": ZEROS,
        nn.modules.conv._ConvNd: {
            "weight": ByShape(2.0, "fan_out", "normal"),
            "bias": ZEROS,
        },
        NORMS: {"weight": ONES, "bias": ZEROS},
    }


def t5(width: int, heads: int, head_width: int, inner: int, factor: float = 1.0) -> Recipe:
    r"""Return the initialization of T5.

    T5 does not divide attention's logits by the root of a head's size; the queries' kernel does,
    :math:`N(0, 1 / (\text{width}\cdot\text{head\_width}))`. Every other kernel is
    :math:`N(0, 1 / \text{fan\_in})`, embeddings :math:`N(0, 1)`, normalizations the identity.

    Parameters
    ----------
    width : int
        Of the residual stream, ``d_model``.
    heads, head_width : int
        How many heads there are, and the size of each, ``d_kv``.
    inner : int
        Of the feed-forward layers, ``d_ff``.
    factor : float, default 1
        Multiplies every standard deviation.

    Returns
    -------
    dict
        For the names of Hugging Face's T5: ``q``, ``k``, ``v``, ``o``, ``wi``, ``wi_0``, ``wi_1``,
        ``wo``, ``shared``, ``lm_head``, ``relative_attention_bias``, ``layer_norm``.

    Raises
    ------
    ArgumentError
        If a size is not positive.

    References
    ----------
    Raffel et al.: Exploring the limits of transfer learning with a unified text-to-text
    transformer. arXiv:1910.10683 (2019); its code, Mesh TensorFlow.

    Examples
    --------
    >>> from fastinit.torch.recipes import t5
    >>> t5(512, 8, 64, 2048)["*.wi*.weight"]
    normal(std=0.04419417382415922)
    """
    if min(width, heads, head_width, inner) < 1:
        raise ArgumentError(f"sizes are positive, got {(width, heads, head_width, inner)}")
    kernel = _normal(factor * width**-0.5)
    return {
        "*.q.weight": _normal(factor * (width * head_width) ** -0.5),
        "*.k.weight": kernel,
        "*.v.weight": kernel,
        "*.o.weight": _normal(factor * (heads * head_width) ** -0.5),
        "*.wi*.weight": kernel,
        "*.wo.weight": _normal(factor * inner**-0.5),
        "*relative_attention_bias.weight": kernel,
        "*shared.weight": _normal(factor),
        "*embed_tokens.weight": _normal(factor),
        "*lm_head.weight": _normal(factor),
        "*layer_norm.weight": Elementwise(Constant(factor)),
    }


def mup_factors(
    model: nn.Module, base: nn.Module, optimizer: depth.Optimizer = "adam"
) -> dict[str, depth.MuP]:
    """Return muP's factors for each kernel of a model: of std, learning rate and output.

    A layer's role is read off what its fans are, compared with the base model's: where both grow
    it is a hidden layer, where fan_out does an input, where fan_in does an output.

    Parameters
    ----------
    model, base : Module
        The same architecture, wide and narrow. They may lie on the meta device.
    optimizer : {"adam", "sgd"}, default "adam"
        See `fastinit.depth.mup`.

    Returns
    -------
    dict of str to MuP
        By qualified names; parameters that are no kernels of known layers are not there: biases
        and normalizations, whose std and Adam's learning rate do not change.

    Raises
    ------
    ArgumentError
        If the models' parameters have not the same names.

    Examples
    --------
    >>> from torch import nn
    >>> from fastinit.torch.recipes import mup_factors
    >>> def net(width):
    ...     return nn.Sequential(nn.Linear(8, width), nn.Linear(width, width), nn.Linear(width, 2))
    >>> mup_factors(net(64), net(16))["1.weight"]
    MuP(std=0.5, learning_rate=0.25, multiplier=1.0)
    """
    wide, narrow = (
        {
            names[0]: own
            for module, name, names, _ in layers.places(one)
            if (own := layers.fans(module, name)) is not None
        }
        for one in (model, base)
    )
    if wide.keys() != narrow.keys():
        other = ", ".join(sorted(wide.keys() ^ narrow.keys()))
        raise ArgumentError(f"the models have not the same kernels: {other}")
    factors = {}
    for name, own in wide.items():
        grows = own[0] != narrow[name][0], own[1] != narrow[name][1]
        role: Any = {(True, True): "hidden", (True, False): "output"}.get(grows, "input")
        factors[name] = depth.mup(role, own, narrow[name], optimizer)
    return factors


def mup(model: nn.Module, base: nn.Module, std: float | Mapping[str, float] = 0.02) -> Recipe:
    """Return muP's initialization: a wide model's, from the standard deviations of a narrow one.

    Parameters
    ----------
    model, base : Module
        See `mup_factors`.
    std : float or mapping of str to float, default 0.02
        The standard deviation of the base model's kernels, for all, or by patterns of names, of
        which the first that fits decides.

    Returns
    -------
    dict
        For the names of `model`. What else muP asks for, the learning rates and the multiplier of
        the output, are in `mup_factors`.

    Raises
    ------
    ArgumentError
        If the models have not the same kernels, or no pattern fits one.

    References
    ----------
    Yang et al.: Tensor programs V. arXiv:2203.03466 (2022).

    Examples
    --------
    >>> from torch import nn
    >>> from fastinit.torch.recipes import mup
    >>> def net(width):
    ...     return nn.Sequential(nn.Linear(8, width), nn.Linear(width, width), nn.Linear(width, 2))
    >>> mup(net(64), net(16), std=0.1)
    {'0.weight': normal(std=0.1), '1.weight': normal(), '2.weight': normal(std=0.1)}
    """
    stds = std if isinstance(std, Mapping) else {"*": std}
    recipe: dict[Key, Rule] = {}
    for name, factors in mup_factors(model, base).items():
        found = next((value for pattern, value in stds.items() if matches(pattern, name)), None)
        if found is None:
            raise ArgumentError(f"std has no pattern that fits {name!r}, got {list(stds)}")
        recipe[name] = _normal(found * factors.std)
    return recipe
