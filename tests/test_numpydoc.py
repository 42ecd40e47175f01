"""Every public name has a docstring in numpydoc's form, which agrees with the code."""

import ast
import functools
import importlib
import inspect
import math
import pkgutil
import re
import textwrap
from types import FunctionType, ModuleType

import pytest
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import Validator, validate

import fastinit
from fastinit import errors, registry
from tests.frameworks import require

# Codes of numpydoc that this code does not follow, and why.
IGNORED = {
    "GL01": "docstrings begin on the line of the quotes",
    "ES01": "the summary may say all",
    "SA01": "names in backquotes link where they are mentioned",
    "EX01": "below: functions and classes have examples, methods the one of their class",
    "PR08": "a description may begin with a value: float32, he_normal",
}
# Modules right below the package that users do not import.
INTERNAL = {"fastinit.__main__", "fastinit.bench", "fastinit.cli", "fastinit.datadriven"}
# Modules further below that they do, besides those that a package lists in its __all__.
INNER = {"fastinit.torch.init", "fastinit.lab.data", "fastinit.lab.report"}
FRAMEWORKS = {"torch", "keras", "jax", "dask"}

# What holds formulas, and what hands them to a framework. There, what comes from a paper has a
# References section, or the name in backquotes of what has one.
CATALOGUE = ("initializers", "structured", "depth", "gains", "meanfield", "kernels", "nn")
ADAPTERS = ("torch", "keras", "jax")
# Those that have none, by the reason.
WITHOUT_PAPER = {
    "a definition": {
        *("dense_forward", "dense_backward", "dense_backward_parameters", "Dense"),
        *("linear", "linear_backward", "sigmoid", "sigmoid_backward", "tanh", "tanh_backward"),
        *("mean_squared_error", "mean_absolute_error", "MeanSquaredError", "MeanAbsoluteError"),
        *("exponential_decay", "piecewise_constant_decay", "clip_by_value"),
        *("ExponentialDecay", "PiecewiseConstantDecay"),
    },
    "a law": {"constant", "ones", "zeros", "normal", "truncated_normal", "uniform", "Elementwise"},
    "a base class": {"Initializer", "Structured", "Layer", "Loss", "Schedule", "Callback"},
    "how a network is trained": {
        *("Sequential", "History", "CSVLogger", "ModelCheckpoint", "TerminateOnNaN"),
        *("LearningRateScheduler", "ReduceLROnPlateau"),
    },
}

# ---------------------------------------------------------------- what is public


def public_modules():
    yield "fastinit"
    for module in pkgutil.iter_modules(fastinit.__path__, "fastinit."):
        if module.name not in INTERNAL:
            yield module.name
    yield from sorted(INNER)


def load(name):
    """Import a module of the package; skip where it needs a framework that is not there."""
    framework = FRAMEWORKS & {*name.split(".")}
    if framework:
        require(*framework)
    return importlib.import_module(name)


def is_ours(thing):
    return (getattr(thing, "__module__", None) or "").startswith("fastinit")


def plain(member):
    """Return the function in a compiled or decorated one, and a property for a cached one."""
    if isinstance(member, classmethod | staticmethod):
        member = member.__func__
    if isinstance(member, functools.cached_property):
        member = property(member.func)
    member = getattr(member, "py_func", member)
    return member if inspect.isclass(member) else inspect.unwrap(member)


def docstrings_of(module):
    """Yield the docstring of each function, class, method and property that a module hands out."""
    for name in module.__all__:
        thing, full = plain(getattr(module, name)), f"{module.__name__}.{name}"
        if isinstance(thing, ModuleType):
            yield from docstrings_of(thing)
        elif isinstance(thing, FunctionType) and is_ours(thing):
            yield docstring_of(thing, full)
        elif inspect.isclass(thing) and is_ours(thing):
            yield docstring_of(thing, full)
            yield from methods_of(thing, full)


def methods_of(cls, full):
    owners = [owner for owner in cls.__mro__ if is_ours(owner)]
    for i, owner in enumerate(owners):
        for name, member in vars(owner).items():
            if not name.startswith("_") and isinstance(plain(member), FunctionType | property):
                bases = (vars(base)[name] for base in owners[i + 1 :] if name in vars(base))
                base = plain(next(bases, None))
                yield docstring_of(plain(member), f"{full}.{name}", owner, base)


@functools.cache  # a thing has one name here, though it may be handed out at several places
def docstring_of(thing, full, owner=None, base=None):
    return Docstring(thing, full, owner, base)


class Docstring(Validator):
    """A docstring and what it is of, as numpydoc's checks and those below look at it."""

    source_file_name = source_file_def_line = None  # no comment in a source may switch off a check

    def __init__(self, thing, full, owner=None, base=None):
        super().__init__(get_doc_object(thing))
        self.full, self.owner = full, owner
        self.short = full.split(".")[-1]
        self.is_property = isinstance(thing, property)
        # A method that overrides another says what it does; the rest stands where it comes from.
        self.is_override = base is not None and not (self.doc_parameters or self.returns)

    @functools.cached_property
    def signature(self):
        """The parameters by name; empty where there is no signature to see."""
        if self.is_property:
            return {}
        try:
            parameters = dict(inspect.signature(self.obj).parameters)
        except ValueError:
            return {}
        hidden = ("self", "cls")
        return {
            name: parameter
            for name, parameter in parameters.items()
            if name not in hidden and not name.startswith("_")
        }

    @property
    def signature_parameters(self):
        stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
        return tuple(stars.get(p.kind, "") + name for name, p in self.signature.items())

    @functools.cached_property
    def section_titles(self):
        return Validator.section_titles.fget(self)

    @functools.cached_property
    def doc_all_parameters(self):
        """What is listed; a class may have what it takes among its attributes."""
        if not inspect.isclass(self.obj):
            return super().doc_all_parameters
        attributes = self._doc_parameters(["Attributes"])
        listed = {**attributes, **self.doc_parameters}
        return {
            name: listed[name] for name in [*self.doc_parameters, *self.signature] if name in listed
        }

    @property
    def types(self):
        """The type line of each parameter, and its place among those that share the line."""
        for names, kind, _ in self.doc["Parameters"] + self.doc["Other Parameters"]:
            group = [name.replace("\\", "").lstrip("*") for name in names.split(", ")]
            for i, name in enumerate(group):
                yield name, kind, i, len(group)


# ---------------------------------------------------------------- the checks


def form(doc):
    """Yield what numpydoc finds, parameters against the signature included."""
    inherited = {"PR01", "PR02", "PR03", "RT01", "YD01"} if doc.is_override else set()
    for code, message in validate("", lambda obj_name: doc)["errors"]:
        if code not in IGNORED and code not in inherited:
            yield f"{code} {message}"


def defaults(doc):
    """Yield the parameters whose default is not the one that the type line says."""
    for name, kind, place, group in doc.types:
        if name not in doc.signature or doc.is_override:
            continue
        default = doc.signature[name].default
        said = re.search(r"default (.+)", kind)
        if default is inspect.Parameter.empty:
            if said or "optional" in kind:
                yield f"default of {name}: said to have one, {kind!r}"
        elif said:
            values = re.split(" and |, (?![^(]*\\))", said[1]) if group > 1 else [said[1]]
            if not is_said(default, values[place] if len(values) == group else said[1]):
                yield f"default of {name}: {default!r}, said to be {said[1]}"
        elif "optional" not in kind:
            yield f"default of {name}: {default!r}, of which nothing is said"


def is_said(default, text):
    names = {"infinity": math.inf, "fastinit": fastinit, "kernels": fastinit.kernels}
    try:
        said = eval(text, names)
    except (NameError, SyntaxError):
        return text == getattr(default, "__name__", None)
    return said == default and isinstance(said, str) == isinstance(default, str)


def raised(doc):
    """Yield that errors are not documented, where an argument can be refused."""
    if doc.is_property or doc.is_override or doc.doc["Raises"]:
        return
    constructors = ("__init__", "__post_init__", "__new__")
    found = [doc.obj]
    if inspect.isclass(doc.obj):
        found = [plain(vars(doc.obj)[name]) for name in constructors if name in vars(doc.obj)]
    if any(can_refuse(function, doc.owner or doc.obj) for function in found):
        yield "no section Raises, though an argument can be refused"


@functools.cache
def body_of(function):
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError):  # written by a program
        return ast.Module([], [])


def refuses(function):
    """Whether a function raises one of the library's errors itself."""
    raised = (node.exc for node in ast.walk(body_of(function)) if isinstance(node, ast.Raise))
    calls = [ast.unparse(error.func) for error in raised if isinstance(error, ast.Call)]
    return any(call.split(".")[-1] in errors.__all__ for call in calls)


def can_refuse(function, owner):
    """Whether a function raises one of the library's errors, or calls one that does."""
    return refuses(function) or any(map(refuses, called(function, owner)))


def called(function, owner):
    """Yield the functions of the library, and the private methods, that a function calls."""
    known = {**getattr(function, "__globals__", {}), "self": owner, "cls": owner}
    for node in ast.walk(body_of(function)):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(name):
                    target = known.get(name)
                case ast.Attribute(ast.Name(name), attribute):
                    if name in ("self", "cls") and not attribute.startswith("_"):
                        continue
                    target = getattr(known.get(name), attribute, None)
                case _:
                    continue
            if isinstance(plain(target), FunctionType) and is_ours(target):
                yield plain(target)


def paper(doc):
    """Yield that there is no reference, where the formula comes from a paper."""
    if doc.owner or {doc.short, in_catalogue(doc.short)} & without_paper() or doc.doc["References"]:
        return
    part = doc.obj.__module__.split(".")[1]
    from_paper = part in ADAPTERS and in_catalogue(doc.short) in with_paper()
    if (part in CATALOGUE or from_paper) and not mentioned(doc) & with_paper():
        yield "no section References, and no name of what has one"


def mentioned(doc):
    """Return the names in backquotes, as in the catalogue."""
    names = re.findall(r"`([\w.]+)`", doc.raw_doc)
    return {in_catalogue(name.split(".")[-1]) for name in names}


def in_catalogue(name):
    """Return a framework's name of an initializer as the catalogue has it."""
    snake = re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower().rstrip("_")
    return registry.ALIASES.get(snake, snake)


def without_paper():
    return set().union(*WITHOUT_PAPER.values())


@functools.cache
def with_paper():
    """Return the names of what has references, or mentions what has them."""
    modules = (importlib.import_module(f"fastinit.{name}") for name in CATALOGUE)
    docs = [doc for module in modules for doc in docstrings_of(module) if not doc.owner]
    found, more = set(), {in_catalogue(doc.short) for doc in docs if doc.doc["References"]}
    while more - found:
        found |= more
        more = {in_catalogue(doc.short) for doc in docs if found & mentioned(doc)}
    return found


def example(doc):
    """Yield that a function or a class has no example that runs."""
    kinds = {parameter.kind for parameter in doc.signature.values()}
    another_name = kinds == {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    if not (doc.owner or another_name or any(">>> " in line for line in doc.examples)):
        yield "no example"


CHECKS = [form, defaults, raised, paper, example]


def faults_of(doc):
    return [f"{doc.full}: {fault}" for check in CHECKS for fault in check(doc)]


@pytest.mark.parametrize("name", list(public_modules()))
def test_docstrings(name):
    faults = [fault for doc in docstrings_of(load(name)) for fault in faults_of(doc)]
    assert not faults, "\n".join(faults)


# ---------------------------------------------------------------- the checks notice what is wrong


def good(x: float, scale: float = 3.0, mode: str = "fan_in", dtype: type = float) -> float:
    """Return `x` times `scale`.

    Parameters
    ----------
    x : float
        Not negative.
    scale : float, default 3
        The factor.
    mode : {"fan_in", "fan_out"}, default "fan_in"
        What it is for.
    dtype : type, optional
        What it becomes.

    Returns
    -------
    float
        The product.

    Raises
    ------
    ArgumentError
        If `x` is negative.

    References
    ----------
    Nobody: On products. Nowhere (1900).

    Examples
    --------
    >>> good(2.0)
    6.0
    """
    return scale * _checked(x)


def _checked(x):
    if x < 0.0:
        raise errors.ArgumentError(f"x must not be negative, got {x!r}")
    return x


def section(name):
    """Return what replaces a section by nothing."""
    text = re.search(
        rf"    {name}\n    -+\n.*?(?=\n    [A-Z][a-z]+\n    --|\n    $)", good.__doc__, re.S
    )
    return text[0] + "\n", ""


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("Return `x` times `scale`.", "return `x`", "SS02"),
        ("Return `x` times `scale`.", "Returns `x`.", "SS05"),
        ("    x : float\n        Not negative.\n", "", "PR01"),
        ("    x : float\n", "    y : float\n", "PR02"),
        ("    x : float\n", "    x\n", "PR04"),
        ("        The factor.\n", "", "PR07"),
        ("        The product.\n", "", "RT03"),
        ("default 3", "default 4", "default of scale: 3.0, said to be 4"),
        ("scale : float, default 3", "scale : float", "default of scale: 3.0, of which nothing"),
        ("x : float", "x : float, default 1", "default of x: said to have one"),
        ('default "fan_in"', 'default "fan_out"', "default of mode: 'fan_in', said"),
        (*section("Returns"), "RT01"),
        (*section("Raises"), "no section Raises"),
        (*section("References"), "no section References"),
        (*section("Examples"), "no example"),
        (">>> good(2.0)\n    6.0", "It is a product.", "no example"),
    ],
)
def test_a_bad_docstring_is_noticed(monkeypatch, old, new, fault):
    monkeypatch.setattr(good, "__module__", "fastinit.kernels")  # whose formulas need papers
    monkeypatch.setattr(_checked, "__module__", "fastinit.kernels")
    assert faults_of(Docstring(good, "fastinit.kernels.good")) == []
    text = good.__doc__
    assert text.count(old) == 1
    monkeypatch.setattr(good, "__doc__", text.replace(old, new))
    faults = faults_of(Docstring(good, "fastinit.kernels.good"))
    assert any(fault in found for found in faults), faults


def test_an_override_may_leave_parameters_to_its_base():
    class Base:
        def double(self, x):
            """Return twice `x`.

            Parameters
            ----------
            x : float
                Any.

            Returns
            -------
            float
                The product.
            """
            return 2 * x

    class Own(Base):
        def double(self, x):
            """Return `x` and `x`."""
            return x + x

    for base, faults in (None, ["PR01", "RT01"]), (Base.double, []):
        doc = Docstring(Own.double, "fastinit.kernels.Own.double", Own, base)
        assert [fault.split(": ")[1][:4] for fault in faults_of(doc)] == faults
