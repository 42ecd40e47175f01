"""Write the tables of docs/frameworks.md: what each framework calls what fastinit has.

    python tools/features.py

`tests/test_features.py` holds them to the truth: each name exists where the tables say, and each
public name of fastinit's catalogue and of the frameworks' stands in them.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parent.parent / "docs" / "frameworks.md"
START, END = "<!-- features: written by tools/features.py -->\n", "<!-- end of features -->"


class Feature(NamedTuple):
    """A name in fastinit, and those of the frameworks, of torch.nn.init and so on."""

    name: str
    torch: str = ""
    keras: str = ""
    jax: str = ""


SHARED = [
    Feature("zeros", "zeros_", "Zeros", "zeros"),
    Feature("ones", "ones_", "Ones", "ones"),
    Feature("constant", "constant_", "Constant", "constant"),
    Feature("identity", "eye_", "Identity"),
    Feature("dirac", "dirac_"),
    Feature("uniform", "uniform_", "RandomUniform", "uniform"),
    Feature("normal", "normal_", "RandomNormal", "normal"),
    Feature("truncated_normal", "trunc_normal_", "TruncatedNormal", "truncated_normal"),
    Feature("variance_scaling", "", "VarianceScaling", "variance_scaling"),
    Feature("glorot_uniform", "xavier_uniform_", "GlorotUniform", "glorot_uniform"),
    Feature("glorot_normal", "xavier_normal_", "GlorotNormal", "glorot_normal"),
    Feature("he_uniform", "kaiming_uniform_", "HeUniform", "he_uniform"),
    Feature("he_normal", "kaiming_normal_", "HeNormal", "he_normal"),
    Feature("lecun_uniform", "", "LecunUniform", "lecun_uniform"),
    Feature("lecun_normal", "", "LecunNormal", "lecun_normal"),
    Feature("orthogonal", "orthogonal_", "Orthogonal", "orthogonal"),
    Feature("delta_orthogonal", "", "", "delta_orthogonal"),
    Feature("sparse", "sparse_"),
    Feature("stft", "", "STFT"),
    Feature("gain", "calculate_gain"),
]
# What none of the three has: fastinit's dotted name, and what it is.
OURS = {
    "bilinear": "interpolation for transposed convolutions",
    "convolution_orthogonal": "convolutions that keep the norm (Xiao et al. 2018)",
    "hadamard": "ZerO: zeros, ones and Hadamard matrices (Zhao et al. 2021)",
    "lstm_forget_bias": "the bias that lets an LSTM remember at first",
    "rademacher": "a random sign",
    "siren_uniform": "for sine activations (Sitzmann et al. 2020)",
    "small_init": "for transformers (Nguyen, Salazar 2019)",
    "perturb": "`out += scale * draw` in place, and back",
    "permutation": "random permutations, element by element",
    "bits": "the stream's words",
    "initialize": "a tree of named arrays in one pass",
    "diff": "how far training has moved each parameter, from its seed",
    "Mixed": "initializers by patterns of names",
    "gain": "of any activation, by quadrature",
    "meanfield": "edge of chaos, variance and correlation maps",
    "fans": "fans of grouped, strided, transposed, packed and many-axed layers",
    "depth": "GPT-2's residuals, (T-)Fixup, DeepNorm, ReZero, LayerScale, muP, mimetic attention",
    "nn.lsuv": "LSUV, also for PyTorch and Keras models",
    "nn.data_dependent": "data-dependent scaling, also for PyTorch and Keras models",
    "torch.patch": "existing PyTorch code, drawn by fastinit",
    "torch.materialize": "a PyTorch model, each parameter drawn once and keyed by its name",
    "torch.check": "what is wrong with a PyTorch model's parameters",
    "torch.shard_": "a rank's part of a tensor that no rank has",
    "jax.make_array": "each shard made where it lives",
    "jax.initialize": "a whole tree, each shard made where it lives",
    "dask.array": "a lazy array, whose chunks make no difference",
    "checkpoints.write": "initial weights streamed to files from a description, larger than memory",
    "checkpoints.verify": "made again from the seed and compared, bit for bit",
}


def tables() -> str:
    """Return both tables."""
    lines = [
        "| fastinit | torch.nn.init | keras.initializers | jax.nn.initializers |",
        "|---" * 4 + "|",
    ]
    for feature in SHARED:
        lines.append(f"| {' | '.join(f'`{name}`' if name else '' for name in feature)} |")
    lines += ["", "And what none of them has:", "", "| fastinit | |", "|---|---|"]
    lines += [f"| `{name}` | {what} |" for name, what in OURS.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    before, rest = PAGE.read_text().split(START)
    PAGE.write_text(before + START + tables() + END + rest.split(END)[1])
