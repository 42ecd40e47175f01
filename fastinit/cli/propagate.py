"""``fastinit propagate``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fastinit.cli.arguments import (
    EXIT_USAGE,
    accepted,
    add_report_options,
    command_line,
    deliver,
    fail,
    open_terminal,
    split_commas,
)
from fastinit.errors import ArgumentError

__all__ = ["add", "run"]

EXAMPLES = """\
examples:
  fastinit propagate --activation tanh --sigma-w 1.5 --sigma-b 0.1
  fastinit propagate --activation relu --init he_normal --depth 100 --out he.png
  fastinit propagate --activation tanh --phase --init glorot_normal --out report
"""

PICTURES = (".png", ".svg")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser.

    Parameters
    ----------
    commands : argparse subparsers
    """
    parser = commands.add_parser(
        "propagate",
        help="show what theory says of signals and gradients in a deep network, and measure them",
        description="Show what mean-field theory says of signals and gradients in a deep\n"
        "network, layer by layer, and random networks measured beside it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,  # what is not given keeps the function's default
    )
    _add_network_options(parser.add_argument_group("the network"))
    _add_diagram_options(parser.add_argument_group("the phase diagram"))
    _add_output_options(parser.add_argument_group("what is written"))


def _add_network_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--activation",
        metavar="NAME",
        required=True,
        help="such as tanh; or module:function, of an array",
    )
    group.add_argument(
        "--sigma-w",
        metavar="SCALE",
        help="standard deviation of the weights times the root of fan_in; "
        "with --phase a range LOW,HIGH (default: 0.5,3)",
    )
    group.add_argument(
        "--sigma-b",
        metavar="SCALE",
        help="standard deviation of the biases (default: 0); "
        "with --phase a range LOW,HIGH (default: 0,1)",
    )
    group.add_argument(
        "--init",
        dest="initializer",
        metavar="NAME",
        help="an initializer in place of --sigma-w, such as he_normal; with --phase it is marked",
    )
    group.add_argument("--depth", type=int, metavar="LAYERS", help="(default: 50)")
    group.add_argument("--width", type=int, metavar="UNITS", help="(default: 256)")
    group.add_argument(
        "--networks",
        type=int,
        metavar="N",
        help="how many are measured (default: 8; with --phase 4 at every point)",
    )
    group.add_argument(
        "--variance", type=float, metavar="NUMBER", help="mean square of the inputs (default: 1)"
    )
    group.add_argument(
        "--correlation", type=float, metavar="NUMBER", help="of the two inputs (default: 0.5)"
    )
    group.add_argument("--seed", type=int, metavar="N", help="(default: 0)")


def _add_diagram_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--phase",
        action="store_true",
        default=False,
        help="map where networks are ordered and where chaotic",
    )
    group.add_argument("--points", type=int, metavar="N", help="along each axis (default: 50)")
    group.add_argument(
        "--predict-only",
        dest="measured",
        action="store_false",
        help="theory alone, in a second",
    )
    group.add_argument(
        "--place",
        dest="places",
        metavar="SIGMA_W,SIGMA_B,LABEL",
        action="append",
        help="a network to mark; may be repeated",
    )


def _add_output_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--json", action="store_true", default=False, help="JSON in place of the table"
    )
    add_report_options(group)


def run(arguments: argparse.Namespace) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : argparse.Namespace

    Returns
    -------
    int
        The exit status.
    """
    try:
        from fastinit.lab import report
        from fastinit.lab.report.languages import language
    except ModuleNotFoundError as error:
        return fail(str(error), EXIT_USAGE)
    options = vars(arguments)
    del options["command"]
    as_json, format, lang = (options.pop(name) for name in ("json", "format", "lang"))

    def check(path: Path) -> None:
        if path.suffix in PICTURES:
            report.check_writable(path.parent)
        else:
            report.check_target(path, format)

    with language(lang):
        out, status = accepted(options.pop("out"), check)
        found = _found(options)
        open_terminal()
        print(found.to_json() if as_json else found.table(), end="\n" if as_json else "")
        if out is None:
            return status
        if out.suffix in PICTURES:
            return deliver(lambda: (found.plot(out),))
        style = {"format": format, "lang": lang}
        return deliver(lambda: report.write(found, out, command=command_line(), **style))


def _found(options: dict[str, Any]) -> Any:
    """Return a Propagation, or a PhaseDiagram."""
    from fastinit.lab import propagation
    from fastinit.lab.imports import import_object, names_object

    activation = options.pop("activation")
    if names_object(activation):
        activation = import_object(activation)
    initializer = options.get("initializer", "")
    if names_object(initializer):
        options["initializer"] = import_object(initializer)
    if not options.pop("phase"):
        for name in ("points", "measured", "places"):
            if name in options:
                raise ArgumentError("--points, --predict-only and --place go with --phase")
        for name in ("sigma_w", "sigma_b"):
            if name in options:
                options[name] = _numbers(name, options[name], 1)[0]
        if ("sigma_w" in options) == ("initializer" in options):
            raise ArgumentError("give --sigma-w or --init, one of them")
        return propagation.propagate(activation, **options)
    for name in ("sigma_w", "sigma_b"):
        if name in options:
            options[name] = _numbers(name, options[name], 2)
    places = [_place(text) for text in options.pop("places", [])]
    if initializer:
        scale = propagation.sigma_w_of(options.pop("initializer"), options.get("width", 256))
        places.append((scale, 0.0, initializer))
    return propagation.phase_diagram(activation, places=places, progress=True, **options)


def _numbers(name: str, text: str, count: int) -> tuple[float, ...]:
    try:
        numbers = tuple(float(item) for item in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count:
        option = "--" + name.replace("_", "-")
        wanted = "a number" if count == 1 else "a range LOW,HIGH"
        raise ArgumentError(f"{option} must be {wanted}, got {text!r}")
    return numbers


def _place(text: str) -> tuple[float, float, str]:
    sigma_w, sigma_b, *label = [*split_commas(text), ""]
    try:
        return float(sigma_w), float(sigma_b), label[0]
    except ValueError:
        raise ArgumentError(f"--place must be SIGMA_W,SIGMA_B,LABEL, got {text!r}") from None
