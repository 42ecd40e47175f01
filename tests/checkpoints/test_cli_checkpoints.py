"""`fastinit write`, `verify` and `diff`: what they print, and their exit codes."""

import errno
import json
import re

import pytest

import fastinit
from fastinit import checkpoints, cli
from fastinit.checkpoints import writing

official = pytest.importorskip("safetensors.numpy")
pytest.importorskip("ml_dtypes")  # with which it reads bfloat16

CONFIG = {"model_type": "gpt2", "n_layer": 1, "n_embd": 16, "n_head": 2, "vocab_size": 50}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


def run(*arguments):
    """Return the exit code of the command, from argparse too."""
    try:
        return cli.main(arguments)
    except SystemExit as stop:
        return stop.code


def test_write_verify_train_diff(folder, capsys):
    assert run("write", "config.json", "begun", "--seed", "4", "--dtype", "bfloat16") == 0
    out, err = capsys.readouterr()
    assert re.match(r"begun.model.safetensors\n16 tensors, \d\d,\d{3} parameters, \d.* kB in", out)
    assert err == ""
    assert run("verify", "begun") == 0
    assert "all are those of the seed, and 16 checksums hold" in capsys.readouterr().out
    arrays = official.load_file("begun/model.safetensors")
    name = "transformer.h.0.mlp.c_fc.weight"
    arrays[name] = (arrays[name] * 1.5).astype(arrays[name].dtype)
    official.save_file(arrays, "trained.safetensors")
    assert run("diff", "trained.safetensors", "--model", "begun") == 0
    table = capsys.readouterr().out
    assert max(map(len, table.splitlines())) <= 80
    row = next(line.split() for line in table.splitlines() if line.startswith(name[:10]))
    assert row[-1] == "100%"
    (row,) = [line.split() for line in table.splitlines() if "c_fc.weight" in line]
    assert row[3] == "0.5"
    command = ["diff", "trained.safetensors", "--model", "config.json", "--seed", "4"]
    assert run(*command, "--dtype", "bfloat16", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert {t["name"] for t in document["tensors"] if t["relative"]} == {name}


def test_verify_says_what_differs(folder, capsys):
    run("write", "config.json", "a.safetensors")
    capsys.readouterr()
    assert run("verify", "a.safetensors", "--seed", "1", "--sample", "0.5") == 1
    out = capsys.readouterr().out
    assert "transformer.wte.weight[0, 0]\n  is" in out
    assert "8 of 16 tensors differ" not in out  # kernels and embeddings: six
    assert "6 of 16 tensors differ" in out
    assert max(map(len, out.splitlines())) <= 80


def test_recipes(folder, capsys):
    (folder / "recipe.json").write_text(json.dumps({"*wte*": "zeros", "*.c_fc.weight": "ones"}))
    recipe = ["--recipe", "*.c_fc.weight=he_normal,*wpe*=normal(mean=0, std=0.5)"]
    recipe += ["--recipe", "recipe.json"]
    assert run("write", "config.json", "a.safetensors", *recipe, "--exclude", "*.ln_1.*") == 0
    rules = {
        name: repr(rule) for name, rule in checkpoints.describe("a.safetensors").recipe.items()
    }
    assert rules["transformer.h.0.mlp.c_fc.weight"] == "he_normal()"
    assert rules["transformer.wpe.weight"] == "normal(std=0.5)"
    assert rules["transformer.wte.weight"] == "zeros()"
    assert "transformer.ln_f.bias" in rules
    assert "transformer.h.0.ln_1.bias" not in rules
    for wrong, words in [
        ("he_normal", "a recipe is PATTERN=INITIALIZER or a .json file, got 'he_normal'"),
        ("none.json", "cannot read 'none.json'"),
        ("*=he_norml", "did you mean 'he_normal'"),
    ]:
        assert run("write", "config.json", "b", "--recipe", wrong) == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["write", "none.json", "x"], "cannot read 'none.json'"),
        (["write", "config.json", "x.json"], "out is a folder or a file NAME.safetensors"),
        (["write", "config.json", "x", "--shard-size", "5 gigs"], "a size is a number of bytes"),
        (["write", "config.json", "x", "--dtype", "int8"], "dtype must be"),
        (["write", "config.json", "x", "--seed", "-1"], "seed must not be negative"),
        (["write", "config.json"], "the following arguments are required: OUT"),
        (["verify", "config.json"], "no weight_map"),
        (["verify", "."], "has no *.safetensors file"),
        (["verify", "x", "--sample", "few"], "--sample must be all, or a share"),
        (["diff", "x.safetensors"], "cannot read 'x.safetensors'"),
    ],
)
def test_mistakes(command, words, folder, capsys):
    assert run(*command) == 2
    assert words in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == ["config.json"]


def test_what_is_there_is_kept(folder, capsys):
    assert run("write", "config.json", "a") == 0
    before = (folder / "a" / "model.safetensors").read_bytes()
    assert run("write", "config.json", "a", "--seed", "1") == 2
    assert "is there already; --force" in capsys.readouterr().err
    assert (folder / "a" / "model.safetensors").read_bytes() == before
    assert run("write", "config.json", "a", "--seed", "1", "--force") == 0
    assert (folder / "a" / "model.safetensors").read_bytes() != before
    assert run("write", "a", "b") == 0  # with the seed that it holds
    assert checkpoints.describe("b").seed == 1


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 1, "No space left on device"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_stops_it_on_the_way(error, status, words, folder, capsys, monkeypatch):
    left = iter(range(3))
    real = writing._Hand._write_all

    def write_all(*arguments):
        if next(left, None) is None:
            raise error
        real(*arguments)

    monkeypatch.setattr(writing, "PIECE", 4096)
    with monkeypatch.context() as patch:
        patch.setattr(writing._Hand, "_write_all", write_all)
        assert run("write", "config.json", "a") == status
    err = capsys.readouterr().err
    assert words in err
    assert "the same command goes on from there" in err
    assert run("verify", "a") == 2
    assert run("write", "config.json", "a") == 0
    assert run("verify", "a") == 0


def test_help_has_examples(capsys):
    for command in "write", "verify", "diff":
        assert run(command, "--help") == 0
        out = capsys.readouterr().out
        assert "examples:" in out
        assert max(map(len, out.splitlines())) <= 80
    assert fastinit.__version__
