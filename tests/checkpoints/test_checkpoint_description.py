"""What a model is read from: JSON, headers, configurations of Hugging Face."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

import fastinit
from fastinit.checkpoints import describe, write
from fastinit.checkpoints.families import family_of
from fastinit.errors import ArgumentError, ArgumentTypeError
from tests.frameworks import require

GPT2 = {"model_type": "gpt2", "n_layer": 2, "n_embd": 64, "n_head": 2, "vocab_size": 500}
GPT2 |= {"n_positions": 32}
LLAMA = {"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "vocab_size": 500}
LLAMA |= {"num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 96}
CONFIGS = {
    "gpt2": GPT2,
    "gpt2 untied": GPT2 | {"tie_word_embeddings": False, "n_inner": 40, "initializer_range": 0.1},
    "gpt2 crossed": GPT2 | {"add_cross_attention": True},
    "gpt2 base": GPT2 | {"architectures": ["GPT2Model"]},
    "llama": LLAMA,
    "llama tied": LLAMA | {"tie_word_embeddings": True, "initializer_range": 0.1},
    "llama biases": LLAMA | {"attention_bias": True, "mlp_bias": True, "head_dim": 24},
    "llama base": LLAMA | {"num_key_value_heads": None, "architectures": ["LlamaModel"]},
}


def saved(path, document):
    path.write_text(json.dumps(document))
    return path


# ---------------------------------------------------------------- Hugging Face


def test_known_names_and_shapes():
    """Recorded from transformers 5: the test below compares all of them where it is installed."""
    tiny = {"model_type": "gpt2", "n_layer": 1, "n_embd": 8, "n_head": 2, "vocab_size": 11}
    assert family_of(tiny).shapes == {
        "transformer.wte.weight": (11, 8),
        "transformer.wpe.weight": (1024, 8),
        "transformer.h.0.ln_1.weight": (8,),
        "transformer.h.0.ln_1.bias": (8,),
        "transformer.h.0.attn.c_attn.weight": (8, 24),
        "transformer.h.0.attn.c_attn.bias": (24,),
        "transformer.h.0.attn.c_proj.weight": (8, 8),
        "transformer.h.0.attn.c_proj.bias": (8,),
        "transformer.h.0.ln_2.weight": (8,),
        "transformer.h.0.ln_2.bias": (8,),
        "transformer.h.0.mlp.c_fc.weight": (8, 32),
        "transformer.h.0.mlp.c_fc.bias": (32,),
        "transformer.h.0.mlp.c_proj.weight": (32, 8),
        "transformer.h.0.mlp.c_proj.bias": (8,),
        "transformer.ln_f.weight": (8,),
        "transformer.ln_f.bias": (8,),
    }
    tiny = {"model_type": "llama", "num_hidden_layers": 1, "hidden_size": 8, "vocab_size": 11}
    tiny |= {"num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 12}
    assert family_of(tiny).shapes == {
        "model.embed_tokens.weight": (11, 8),
        "model.layers.0.self_attn.q_proj.weight": (8, 8),
        "model.layers.0.self_attn.k_proj.weight": (4, 8),
        "model.layers.0.self_attn.v_proj.weight": (4, 8),
        "model.layers.0.self_attn.o_proj.weight": (8, 8),
        "model.layers.0.mlp.gate_proj.weight": (12, 8),
        "model.layers.0.mlp.up_proj.weight": (12, 8),
        "model.layers.0.mlp.down_proj.weight": (8, 12),
        "model.layers.0.input_layernorm.weight": (8,),
        "model.layers.0.post_attention_layernorm.weight": (8,),
        "model.norm.weight": (8,),
        "lm_head.weight": (11, 8),
    }


def test_known_sizes():
    """What the papers and the files say: 124 million, 6.74 billion, 70.6 billion."""
    sizes = {
        124_439_808: {"model_type": "gpt2"},
        6_738_415_616: {"model_type": "llama"},
        70_553_706_496: {
            "model_type": "llama",
            "hidden_size": 8192,
            "intermediate_size": 28672,
            "num_hidden_layers": 80,
            "num_attention_heads": 64,
            "num_key_value_heads": 8,
            "vocab_size": 128256,
        },
    }
    for count, config in sizes.items():
        assert sum(math.prod(shape) for shape in family_of(config).shapes.values()) == count


ORACLE = """
import json, sys
sys.modules["torchvision"] = None  # not needed here, and broken beside some builds of PyTorch
import torch
from transformers import AutoConfig, GPT2LMHeadModel, GPT2Model, LlamaForCausalLM, LlamaModel
torch.manual_seed(0)
found = {}
for name, values in json.loads(sys.argv[1]).items():
    values = dict(values)
    default = "GPT2LMHeadModel" if values["model_type"] == "gpt2" else "LlamaForCausalLM"
    kind = globals()[values.pop("architectures", [default])[0]]
    model = kind(AutoConfig.for_model(**values))
    tied = set(getattr(model, "_tied_weights_keys", None) or ()) if (
        model.config.tie_word_embeddings and hasattr(model, "lm_head")) else set()
    found[name] = {
        n: [list(p.shape), p.double().mean().item(), p.double().std(correction=0).item()]
        for n, p in model.state_dict().items() if n not in tied
    }
print(json.dumps(found))
"""


def test_hugging_face_has_the_same_tensors_and_initialization():
    require("torch")
    pytest.importorskip("transformers")
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ORACLE, json.dumps(CONFIGS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    for what, tensors in json.loads(result.stdout.splitlines()[-1]).items():
        family = family_of(CONFIGS[what])
        assert list(family.shapes) == list(tensors), what
        rules = fastinit.Mixed(family.recipe)
        for name, (shape, mean, std) in tensors.items():
            assert family.shapes[name] == tuple(shape), name
            law = rules.for_name(name).distribution(tuple(shape))
            count = math.prod(shape)
            if hasattr(law, "std"):  # six standard errors
                assert abs(std / law.std - 1) < 6 / math.sqrt(2 * count), (what, name)
                assert abs(mean) < 6 * law.std / math.sqrt(count), (what, name)
            else:
                assert (mean, std) == (law.value, 0), (what, name)


def test_the_residual_projections_of_gpt2_are_smaller(tmp_path):
    found = describe(saved(tmp_path / "config.json", GPT2))
    rules = found.recipe
    assert rules["transformer.h.1.attn.c_attn.weight"] == fastinit.get("normal", std=0.02)
    assert rules["transformer.h.1.mlp.c_proj.weight"] == fastinit.get("normal", std=0.01)
    assert rules["transformer.h.1.mlp.c_proj.bias"] == fastinit.get("zeros")
    assert rules["transformer.h.1.ln_2.weight"] == fastinit.get("ones")


def test_fans_are_those_of_the_layers_of_each_family(tmp_path):
    gpt2 = describe(saved(tmp_path / "config.json", GPT2), {"*c_fc.weight": "he_normal"})
    assert gpt2["transformer.h.0.mlp.c_fc.weight"].law.std == pytest.approx(math.sqrt(2 / 64))
    llama = describe(saved(tmp_path / "config.json", LLAMA), {"*up_proj*": "he_normal"})
    assert llama["model.layers.0.mlp.up_proj.weight"].law.std == pytest.approx(math.sqrt(2 / 64))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_type": "bert"}, "unknown model_type 'bert'"),
        ({"n_embd": 63}, "no multiple of n_head"),
        ({"n_layer": 0}, "n_layer must be a positive integer, got 0"),
        ({"n_layer": 2.0}, "n_layer must be a positive integer, got 2.0"),
        ({"vocab_size": True}, "vocab_size"),
        ({"initializer_range": -1}, "initializer_range"),
        ({"tie_word_embeddings": "no"}, "tie_word_embeddings must be true or false"),
        ({"architectures": ["GPT2ForSequenceClassification"]}, "architectures must be"),
        ({"torch_dtype": "int8"}, "dtype must be"),
    ],
)
def test_a_configuration_that_cannot_be_used(change, words, tmp_path):
    path = saved(tmp_path / "config.json", GPT2 | change)
    with pytest.raises((ArgumentError, ArgumentTypeError), match=words):
        describe(path)


# ---------------------------------------------------------------- JSON and mappings

MINE = {
    "dtype": "bfloat16",
    "layout": "torch",
    "seed": 5,
    "tensors": {
        "head.weight": [10, 64],
        "head.bias": {"shape": [10], "dtype": "float32"},
        "norm": {"shape": [64], "init": "ones"},
    },
    "recipe": {"*.bias": "zeros", "*.weight": "he_normal"},
}


def test_a_description_of_ones_own(tmp_path):
    found = describe(saved(tmp_path / "mine.json", MINE))
    assert {name: (t.shape, t.dtype.name, repr(t.initializer)) for name, t in found.items()} == {
        "head.weight": ((10, 64), "bfloat16", "he_normal(in_axis=1, out_axis=0)"),
        "head.bias": ((10,), "float32", "zeros()"),
        "norm": ((64,), "bfloat16", "ones()"),
    }
    assert (found.seed, found.parameters, found.nbytes) == (5, 714, 2 * 704 + 4 * 10)


def test_a_recipe_goes_before_the_model(tmp_path):
    path = saved(tmp_path / "mine.json", MINE)
    found = describe(path, {"head.weight": "normal", "norm": "zeros"}, dtype="float64")
    assert [repr(rule) for rule in found.recipe.values()] == ["normal()", "zeros()", "zeros()"]
    assert {tensor.dtype.name for tensor in found.values()} == {"float64"}
    found = describe(path, exclude=["head.*"], layout="keras")
    assert list(found) == ["norm"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recipe": {"*.bias": "zeros"}}, "'head.weight': no rule fits it, there are '[*].bias'"),
        ({"recipe": {"*": "he_norml"}}, "did you mean 'he_normal'"),
        ({"tensors": {"a": 5}}, "'a': a shape is a list, got 5"),
        ({"tensors": {"a": [2, -1]}}, "'a': .*-1"),
        ({"tensors": {"a": [2.5]}}, "'a': "),
        ({"tensors": {"a": {"shape": [2], "init": "orthogonal"}}}, "'a': .*axes"),
        ({"tensors": {"a": {"shape": [2], "dtype": "int8", "init": "ones"}}}, "'a': dtype must be"),
        ({"tensors": {"a": {"shape": [2], "int": "ones"}}}, "unknown entry of 'a' 'int'"),
        ({"tensors": {"a": {"shape": [2], "init": "constant(1e300)"}}}, "does not fit bfloat16"),
        ({"tensor": {}}, "unknown entry of a description 'tensor'; did you mean"),
        ({"layout": "caffe"}, "unknown layout 'caffe'"),
        ({"seed": -1}, "seed must not be negative"),
        ({"seed": "0"}, "a seed is an integer"),
        ({"dtype": "float8"}, "'head.weight': "),
    ],
)
def test_a_description_that_cannot_be_used(change, words, tmp_path):
    with pytest.raises((ArgumentError, ArgumentTypeError), match=words):
        describe(saved(tmp_path / "mine.json", MINE | change))


def test_what_is_no_description(tmp_path):
    for document, words in ([1], "a description is an object"), ({}, "a description has 'tensors'"):
        with pytest.raises((ArgumentError, ArgumentTypeError), match=words):
            describe(saved(tmp_path / "mine.json", document))
    (tmp_path / "mine.json").write_text('{"tensors": {"a": [1], "a": [2]}}')
    with pytest.raises(ArgumentError, match="twice"):
        describe(tmp_path / "mine.json")
    with pytest.raises(ArgumentError, match="cannot read"):
        describe(tmp_path / "none.json")


def test_a_mapping_of_shapes_or_arrays():
    found = describe({"a": (2, 3), "b": np.zeros(4, np.float16), "c": [5]}, "normal")
    assert found.shapes == {"a": (2, 3), "b": (4,), "c": (5,)}
    assert [tensor.dtype.name for tensor in found.values()] == ["float32", "float16", "float32"]
    with pytest.raises(ArgumentTypeError, match="'a': expected a shape"):
        describe({"a": "no"}, "normal")
    with pytest.raises(ArgumentTypeError, match="a name is a string"):
        describe({1: (2,)}, "normal")


# ---------------------------------------------------------------- files


def test_a_file_of_someone_else_has_names_and_shapes_alone(tmp_path):
    official = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "x.safetensors"
    arrays = {"kernel": np.ones((3, 5), np.float16), "bias": np.ones(5, np.float32)}
    official.save_file(arrays, path)
    with pytest.raises(ArgumentError, match="no rule fits it, there are none"):
        describe(path)
    with pytest.raises(ArgumentError, match=r"'kernel': he_normal.* needs the layout"):
        describe(path, {"bias": "zeros", "*": "he_normal"})
    found = describe(path, {"bias": "zeros", "*": "he_normal"}, layout="torch")
    assert found["kernel"].law.std == pytest.approx(math.sqrt(2 / 5))
    assert found["kernel"].dtype.name == "float16"
    official.save_file(arrays, path, {"format": "pt"})
    assert describe(path, "he_normal", exclude=["bias"]).recipe == {
        "kernel": fastinit.get("he_normal", in_axis=1, out_axis=0)
    }
    official.save_file(arrays | {"steps": np.ones(1, np.int64)}, path)
    for dtype in None, "float16":
        with pytest.raises(ArgumentTypeError, match=r"'steps': .*I64"):
            describe(path, "normal", dtype=dtype)
    assert list(describe(path, "normal", exclude=["st*"])) == ["bias", "kernel"]


def test_a_written_file_describes_itself(tmp_path):
    first = describe(MINE["tensors"] | {"head.bias": (10,), "norm": (64,)}, {"*": "normal"})
    shapes = {"layer.weight": (6, 4), "odd [name]*": (3,), "key": ()}
    recipe = {"layer*": "truncated_normal(std=0.1)", "*": "uniform"}
    for seed in 7, fastinit.key(3), 2**100:
        path = write(shapes, tmp_path / "x.safetensors", recipe, seed, layout="torch", force=True)
        found = describe(path)
        assert (found.seed, found.layout) == (seed, "torch")
        assert dict(found) == dict(sorted(describe(shapes, recipe).items()))
        assert (found.make("key") == fastinit.uniform((), seed=fastinit.key(seed, "key"))).all()
    assert first.seed is None


def test_rules_of_every_kind_are_written_and_read(tmp_path):
    shapes, recipe = {}, {}
    refused = ("stft", "lstm_forget_bias", "bilinear")  # which need arguments, or shapes of a kind
    for name in fastinit.names():
        if name in refused:
            continue
        shapes[name] = (3, 3, 4, 4) if "orthogonal" in name or name == "dirac" else (16, 16)
        recipe[name] = name
    path = write(shapes, tmp_path / "x.safetensors", recipe, seed=0)
    assert describe(path).recipe == {n: fastinit.get(r) for n, r in sorted(recipe.items())}


# ---------------------------------------------------------------- weights from a seed


def test_tensors_and_slices_are_made_again():
    shapes = {"a": (8, 6), "b": (5,), "c": (4, 4)}
    recipe = {"a": "he_normal", "b": "zeros", "c": "orthogonal"}
    description = describe(shapes, recipe, dtype="float16")
    whole = fastinit.initialize(shapes, recipe, 3, dtype="float16")
    for name, index in ("a", None), ("a", (slice(2, 5), slice(None, None, 2))), ("c", slice(1, 3)):
        part = description.make(name, 3, index=index)
        assert (part == whole[name][... if index is None else index]).all()
    assert fastinit.initialize(description.shapes, description.recipe, 3)["a"].shape == (8, 6)


def test_what_cannot_be_made():
    description = describe({"layer.weight": (2, 2)}, "normal")
    with pytest.raises(ArgumentError, match="no seed is given"):
        description.make("layer.weight")
    for wrong in (ArgumentError, KeyError):
        with pytest.raises(wrong, match=r"did you mean 'layer\.weight'"):
            description.make("layer.wieght", 0)
    assert "other" not in description
