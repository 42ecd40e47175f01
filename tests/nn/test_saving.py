"""Networks in files: nothing is lost, nothing wrong accepted, a failure leaves nothing behind."""

import builtins
import json
import os
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import fastinit
from fastinit import nn
from fastinit.errors import ArgumentError, ArgumentTypeError, FastinitError
from fastinit.nn import saving

FEATURES, CLASSES = 5, 3
X = np.random.default_rng(0).standard_normal((50, FEATURES))
Y = np.arange(50) % CLASSES
SEQUENCES = X.reshape(10, 5, FEATURES)


def make(seed=3, dtype=np.float32, **compiled):
    layers = [
        nn.Dense(
            8, "relu", kernel_initializer="he_normal", kernel_regularizer=nn.Regularizer(0.01)
        ),
        nn.BatchNorm(momentum=0.9, scale=False),
        nn.Dropout(0.25),
        nn.Dense(6, use_bias=False, name="π/ä layer"),
        nn.LayerNorm(epsilon=0.01),
        nn.Activation("leaky_relu", 0.3),
        nn.Dense(CLASSES, "softmax"),
    ]
    network = nn.Sequential(layers, seed=seed, dtype=dtype)
    network.build(FEATURES)
    network.compile(**compiled)
    return network


def fit(network, epochs=2, **options):
    return network.fit(X, Y, epochs=epochs, batch_size=16, verbose=0, **options).history


def trained(**options):
    network = make(**options)
    fit(network)
    return network


def same_bits(a, b):
    for x, y in zip(a.get_weights(), b.get_weights(), strict=True):
        assert x.dtype == y.dtype
        assert x.tobytes() == y.tobytes()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "network.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the bytes of a file."""
    path = tmp_path_factory.mktemp("whole") / "network.safetensors"
    trained().save(path)
    return path.read_bytes()


# ---------------------------------------------------------------- what comes back

WARMED = nn.LinearWarmup(nn.ExponentialDecay(0.1, 5, 0.5), 3)
OPTIMIZERS = [
    nn.SGD(0.1),
    nn.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    nn.Adagrad(0.05, initial_accumulator_value=0.3),
    nn.RMSprop(WARMED, momentum=0.5, clipvalue=0.5),
    nn.AdamW(nn.CosineDecay(0.01, 30), global_clipnorm=1.0),
    nn.Adam(nn.PiecewiseConstantDecay([3, 9], [0.1, 0.01, 0.001])),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: o.name)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_goes_on_as_if_it_had_never_stopped(path, optimizer, dtype):
    loss = nn.CategoricalCrossentropy(label_smoothing=0.1)
    network = trained(dtype=dtype, optimizer=optimizer, loss=loss)
    network.save(path)
    again = nn.Sequential.load(path)
    same_bits(again, network)
    assert (again.loss, again.optimizer, again.metrics) == (loss, optimizer, network.metrics)
    assert (again.steps, again.epochs) == (network.steps, network.epochs) == (8, 2)
    assert fit(again) == fit(network)
    same_bits(again, network)
    for a, b in zip(again.moments(), network.moments(), strict=True):
        assert a.tobytes() == b.tobytes()


def test_a_learning_rate_set_during_training_is_kept(path):
    network = trained(optimizer=nn.SGD(0.1))
    network.learning_rate = np.float32(0.5)
    network.save(path)
    again = nn.Sequential.load(path)
    assert (again.learning_rate, again.optimizer) == (0.5, nn.SGD(0.1))
    assert fit(again) == fit(network)


@pytest.mark.parametrize("drop", ["_moments", "steps", "epochs", "learning_rate", "seed"])
def test_the_test_of_resuming_sees_each_part(path, drop):
    """Control: without any one of these, training goes on differently."""
    network = trained(optimizer=nn.Adam(WARMED))
    network.learning_rate = 0.02 if drop == "learning_rate" else WARMED
    network.save(path)
    again = nn.Sequential.load(path)
    setattr(again, drop, {"_moments": None, "learning_rate": WARMED}.get(drop, 0))
    assert fit(again) != fit(network)


@pytest.mark.parametrize("cell", [nn.RNN, nn.LSTM, nn.GRU])
def test_recurrent_networks(path, cell):
    options = {"activation": "relu"} if cell is nn.RNN else {}
    layers = [cell(4, return_sequences=True, use_bias=False), cell(3, **options), nn.Dense(1)]
    network = nn.Sequential(layers, seed=0)
    network.build(SEQUENCES.shape[1:])
    network.save(path)
    again = nn.Sequential.load(path)
    same_bits(again, network)
    assert [repr(layer) for layer in again.layers] == [repr(layer) for layer in network.layers]
    np.testing.assert_array_equal(again.predict(SEQUENCES), network.predict(SEQUENCES))
    assert again.loss is None


def test_everything_else_comes_back(path):
    network = trained(seed=fastinit.key(1, "own"), loss=nn.CategoricalCrossentropy(), metrics=[])
    network.layers[0].trainable = network.layers[2].trainable = False
    network.layers[1].moving_mean[0] = np.nan
    network.layers[3].kernel[0, 0] = -np.inf
    network.save(str(path))
    again = nn.Sequential.load(str(path))
    same_bits(again, network)
    for a, b in zip(again.layers, network.layers, strict=True):
        assert (a.name, repr(a), a.trainable) == (b.name, repr(b), b.trainable)
    assert again.seed == network.seed
    assert again.metrics == ()
    network.build(FEATURES), again.build(FEATURES)  # drawn anew, from the same seed
    same_bits(again, network)


def test_without_the_optimizer(path):
    network = trained()
    network.save(path)
    larger = path.stat().st_size
    network.save(path, include_optimizer=False)
    assert path.stat().st_size < larger
    again = nn.Sequential.load(path)
    same_bits(again, network)
    assert (again.loss, again.optimizer) == (None, None)
    with pytest.raises(FastinitError, match="compile"):
        fit(again)


def test_any_reader_of_the_format_finds_the_names(path):
    network = trained()
    network.save(path)
    tensors = safetensors.numpy.load_file(path)
    np.testing.assert_array_equal(tensors["dense_0.kernel"], network.layers[0].kernel)
    np.testing.assert_array_equal(
        tensors["batch_norm_1.moving_mean"], network.layers[1].moving_mean
    )
    first = tensors["optimizer.first.dense_0.kernel"]
    np.testing.assert_array_equal(first.ravel(), network.moments()[0][: first.size])


def ones(shape, *, seed, dtype):
    """Not the catalogue's, but of its name."""
    return np.full(shape, 2, dtype)


def test_seeds_and_initializers_that_text_cannot_say(path):
    network = nn.Sequential(
        [nn.Dense(2, kernel_initializer=ones, bias_initializer="normal")],
        seed=np.random.default_rng(0),
    )
    network.build(3)
    network.save(path)
    with pytest.warns(
        UserWarning, match=r"dense_0\.kernel_initializer was ones, .*default"
    ) as found:
        again = nn.Sequential.load(path)
    assert found[0].filename == __file__
    same_bits(again, network)
    assert again.layers[0].bias_initializer == network.layers[0].bias_initializer
    assert again.layers[0].kernel_initializer == fastinit.get("glorot_uniform")
    assert again.seed is None


def test_classes_of_ones_own_are_refused(path):
    class Own(nn.Dense):
        pass

    class OwnAdam(nn.Adam):
        pass

    network = nn.Sequential([Own(2)])
    network.build(3)
    with pytest.raises(ArgumentTypeError, match=r"only layers, .* got the layer Own"):
        network.save(path)
    with pytest.raises(ArgumentTypeError, match="got the optimizer OwnAdam"):
        make(optimizer=OwnAdam()).save(path)
    assert not path.exists()
    network.save_weights(path)
    assert network.load_weights(path) == []


def test_a_network_without_parameters_cannot_be_saved(path):
    with pytest.raises(FastinitError, match="call build"):
        nn.Sequential([nn.Dense(2)]).save(path)


# ---------------------------------------------------------------- weights alone


def test_weights_into_another_network(path):
    network, other = trained(), make(seed=9)
    network.save_weights(path)
    assert other.load_weights(path) == []
    same_bits(other, network)
    with pytest.raises(ArgumentError, match="holds weights alone"):
        nn.Sequential.load(path)
    wide = make(dtype=np.float64)
    wide.load_weights(path)
    np.testing.assert_array_equal(wide.layers[0].kernel, network.layers[0].kernel)
    network.save(path)  # a whole network's file serves, too
    third = make(seed=10)
    assert third.load_weights(path) == []
    same_bits(third, network)


def test_a_head_of_another_size_is_left_alone(path):
    network = trained()
    network.save(path)
    layers = [nn.Dense(8, "relu"), nn.BatchNorm(scale=False), nn.Dense(9, name="head")]
    other = nn.Sequential([*layers, nn.Dense(CLASSES, name="dense_6")], seed=0)
    other.build(FEATURES)
    before = other.get_weights()
    with pytest.raises(ArgumentError, match=r"does not fit the network: it has no tensor 'head\.k"):
        other.load_weights(path)
    for a, b in zip(other.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    # the bias of dense_6 would fit; a layer is loaded whole or not at all
    assert other.load_weights(path, skip_mismatch=True) == ["head", "dense_6"]
    for i in range(2):
        for name in other.layers[i]._arrays:
            ours, theirs = (getattr(n.layers[i], name) for n in (other, network))
            np.testing.assert_array_equal(ours, theirs)
    assert not other.layers[3].bias.any()


def test_weights_that_do_not_fit(path):
    network = trained()
    network.save_weights(path)
    tensors = safetensors.numpy.load_file(path)
    for change, message in (
        ({"dense_0.bias": None}, r"has no tensor 'dense_0\.bias'.*\(8,\)"),
        ({"extra.kernel": np.zeros(2, np.float32)}, r"has a tensor 'extra\.kernel'"),
        ({"dense_0.bias": np.zeros(7, np.float32)}, r"has the shape \(7,\), expected \(8,\)"),
        ({"dense_0.bias": np.zeros(8, np.int32)}, "dtype int32, expected floating"),
    ):
        changed = {n: t for n, t in (tensors | change).items() if t is not None}
        safetensors.numpy.save_file(changed, path)
        with pytest.raises(ArgumentError, match=message):
            make().load_weights(path)
    safetensors.numpy.save_file({"other": np.zeros(2)}, path)
    with pytest.raises(ArgumentError, match="does not fit"):
        make().load_weights(path, skip_mismatch=True)
    with pytest.raises(FastinitError, match="call build"):
        nn.Sequential([nn.Dense(2)]).load_weights(path)


# ---------------------------------------------------------------- damaged and foreign files


def rewrite(path, whole, *, config=None, metadata=None, tensors=None):
    """Write the file with changes, its checksums as they must be for them."""
    path.write_bytes(whole)
    found = safetensors.numpy.load(whole) | (tensors or {})
    found = {name: tensor for name, tensor in found.items() if tensor is not None}
    with safetensors.safe_open(path, "np") as file:
        header = file.metadata()
    text = json.loads(header["configuration"]) | (config or {})
    text["crc32"] = {name: zlib.crc32(tensor) for name, tensor in found.items()}
    header["configuration"] = json.dumps(text)
    header["crc32"] = str(zlib.crc32(header["configuration"].encode()))
    safetensors.numpy.save_file(found, path, header | (metadata or {}))


@pytest.mark.parametrize("share", [0, 0.0001, 0.001, 0.1, 0.5, 0.9, 0.9999])
def test_truncated_files(path, whole, share):
    path.write_bytes(whole[: int(len(whole) * share)])
    for read in (nn.Sequential.load, make().load_weights):
        with pytest.raises(ArgumentError, match=r"network\.safetensors' is no whole safetensors"):
            read(path)


def test_no_flipped_bit_goes_unnoticed(path, whole):
    """Every byte of the first 20, then every 61st; and at last none, as the control."""
    header = 8 + int.from_bytes(whole[:8], "little")
    places = [*range(20), *range(20, len(whole), 61), header, header + 1, len(whole) - 1]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(ArgumentError, match=r"network\.safetensors' "):
            nn.Sequential.load(path)
    path.write_bytes(whole)
    nn.Sequential.load(path)


CHANGES = [
    ({"tensors": {"dense_0.bias": None}}, r"no tensor 'dense_0\.bias' \(expected one of shape"),
    ({"tensors": {"more": np.ones(1)}}, "a tensor 'more', which the network does not"),
    ({"tensors": {"dense_0.bias": np.ones(9)}}, r"shape \(9,\), expected \(8,\)"),
    ({"tensors": {"dense_0.bias": np.ones(8)}}, "dtype float64, expected float32"),
    ({"tensors": {"optimizer.second.dense_0.bias": None}}, r"no tensor 'optimizer\.second\.dense"),
    ({"config": {"input_shape": [7]}}, r"'dense_0\.kernel' has the shape \(5, 8\), expected \(7"),
    ({"config": {"input_shape": [10**15]}}, "has the shape"),
    ({"config": {"dtype": "int8"}}, "dtype must be float32 or float64"),
    ({"config": {"dtype": "nonsense"}}, "cannot be loaded"),
    ({"config": {"seed": "x"}}, "cannot be loaded.*seed"),
    ({"config": {"layers": [{"kind": "conv"}]}}, "cannot be loaded: 'conv'"),
    ({"config": {"layers": []}}, "at least one layer"),
    ({"config": {"training": {}}}, "cannot be loaded"),
    ({"metadata": {"format": "fastinit.nn/2"}}, "format 'fastinit.nn/2', expected 'fastinit.nn/1'"),
    ({"metadata": {"format": "pt"}}, "holds no network"),
    ({"metadata": {"crc32": "1"}}, "configuration fails its checksum"),
    ({"metadata": {"configuration": "{}"}}, "configuration fails its checksum"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES, ids=[m[:25] for _, m in CHANGES])
def test_files_that_do_not_agree_with_themselves(path, whole, change, message):
    rewrite(path, whole, **change)
    with pytest.raises(ArgumentError, match=rf"network\.safetensors' .*{message}"):
        nn.Sequential.load(path)
    rewrite(path, whole)
    nn.Sequential.load(path)


def test_a_damaged_tensor_is_named(path, whole):
    place = whole.index(safetensors.numpy.load(whole)["dense_0.kernel"].tobytes())
    damaged = bytearray(whole)
    damaged[place + 5] ^= 1
    path.write_bytes(damaged)
    for read in (nn.Sequential.load, make().load_weights):
        with pytest.raises(ArgumentError, match=r"damaged: 'dense_0\.kernel' fails its checksum"):
            read(path)


def test_foreign_files(path):
    safetensors.numpy.save_file({"weight": np.ones(3)}, path)
    with pytest.raises(ArgumentError, match=r"holds no network of fastinit\.nn"):
        nn.Sequential.load(path)
    header = json.dumps({"a": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"ab")
    with pytest.raises(ArgumentError, match=r"no whole safetensors file: .*BF16"):
        nn.Sequential.load(path)
    for data in (b"", b"PK\x03\x04 a zip file", b"\xff" * 100, b"\x89HDF\r\n\x1a\n" + bytes(200)):
        path.write_bytes(data)
        with pytest.raises(ArgumentError, match="no whole safetensors file"):
            nn.Sequential.load(path)
    with pytest.raises(FileNotFoundError):
        nn.Sequential.load(path.parent / "absent")
    with pytest.raises(OSError, match=r"directory|denied"):
        nn.Sequential.load(path.parent)


# ---------------------------------------------------------------- writing


def test_a_failing_write_leaves_the_old_file_and_nothing_else(path, monkeypatch):
    network = trained()
    network.save(path)
    old = path.read_bytes()
    fit(network)

    def full(handle):
        raise OSError(28, "No space left on device")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, lambda *_: full(0))
            with pytest.raises(OSError, match="No space left"):
                network.save(path)
        assert os.listdir(path.parent) == [path.name]
        assert path.read_bytes() == old

    real = builtins.open

    class HalfWritten:
        def __init__(self, stream):
            self.stream = stream

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.stream.close()

        def write(self, data):
            self.stream.write(data[: len(data) // 2])
            full(0)

    with monkeypatch.context() as patch:
        patch.setattr(saving, "open", lambda *a: HalfWritten(real(*a)), raising=False)
        with pytest.raises(OSError, match="No space left"):
            network.save_weights(path)
    assert os.listdir(path.parent) == [path.name]
    assert path.read_bytes() == old
    network.save(path)
    assert path.read_bytes() != old
    assert os.listdir(path.parent) == [path.name]


def test_folders_that_cannot_be_written(tmp_path):
    network = make()
    with pytest.raises(FileNotFoundError):
        network.save(tmp_path / "absent" / "network")
    with pytest.raises(OSError, match=r"directory|denied"):
        network.save(tmp_path)
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o500)
    if os.access(locked, os.W_OK):
        pytest.skip("nothing is locked to this user")
    with pytest.raises(PermissionError):
        network.save(locked / "network")


@pytest.mark.parametrize("kind", [str, Path])
def test_paths_of_all_alphabets(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = make()
    path = kind("Gewichte 重み é.safetensors")
    network.save(path)
    same_bits(nn.Sequential.load(path), network)


@pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")
def test_permissions_and_links_are_those_of_any_file(path):
    (path.parent / "plain").touch()
    link = path.parent / "link"
    link.symlink_to(path)
    make().save(link)
    assert link.is_symlink()
    assert path.stat().st_mode == (path.parent / "plain").stat().st_mode


def test_what_to_install_is_said(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    for use in (make().save, make().save_weights, nn.Sequential.load, make().load_weights):
        with pytest.raises(ImportError, match=r"pip install 'fastinit\[nn\]'"):
            use(path)
