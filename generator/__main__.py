"""The command line, ``python -m generator --help``: parses arguments, calls the parts, prints their results."""

import argparse
import asyncio
import hashlib
import json
import logging
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlencode

from pydantic import ValidationError

from generator import __version__
from generator.api.refusals import refusal
from generator.api.types import SLOTS, RecipeRequest, Slots
from generator.client import NotRunning, call
from generator.errors import GeneratorError, Refused
from generator.log_lines import start_log
from generator.models.registry import all_cards, capabilities
from generator.models.weights import can_be_fetched, fetch, locate
from generator.pictures.image_files import image_size, read_file
from generator.pictures.store import beside
from generator.recipes import prompt, recipe_file
from generator.recipes.validation import resolve
from generator.setting_errors import plain_error
from generator.settings import ClusterSettings, InvalidSettings, Settings, load_settings, read_token
from generator.workers.cards import cards_of

# How often an OpenMP thread of torch looks for work before it sleeps. By default, some 300,000 times, and the threads
# of several programs then keep the processor from each other: on a busy machine a picture by pocket took more than 8 s,
# with this 2.4 s. On an idle machine it costs at most a tenth.
SPIN_COUNT = "1000"

_MARKS = {"ok": "✓", "warning": "!", "problem": "✗"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0 when it succeeded."""
    asked = _parser().parse_args(arguments)
    # At import transformers prints advice on stderr about image processors that nothing here uses.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    # Set before torch is imported, here and in the processes that this one starts.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    start_log(logging.INFO if asked.run in (_serve, _worker) else logging.WARNING)
    try:
        return int(asked.run(asked, load_settings(asked.settings)))
    except (InvalidSettings, GeneratorError, NotRunning) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        # As a shell reports a program that Ctrl-C ends.
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m generator", description="Easel's generator: draws pictures.")
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", help="YAML; without it $EASEL_SETTINGS or the defaults"
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    commands.add_parser("serve", help="answer the bot on a socket").set_defaults(run=_serve)

    worker = commands.add_parser("worker", help="draw for another machine, which has cluster in its settings")
    worker.add_argument("--join", required=True, type=_host_and_port, metavar="HOST:PORT", help="of the main machine")
    worker.add_argument("--token-file", required=True, type=Path, metavar="FILE", help="a copy of the main machine's")
    worker.add_argument("--name", metavar="NAME", help="of this machine, if its host name should not be it")
    worker.add_argument("--listen", metavar="ADDRESS", help="of this machine, if not the one towards the main one")
    worker.add_argument("--port", type=_count, default=7802, metavar="NUMBER", help="the first of fifty; usually 7802")
    worker.add_argument("--store-mb", type=_count, default=200, metavar="NUMBER", help="for pictures on the way")
    worker.set_defaults(run=_worker)

    draw = commands.add_parser("draw", help="draw one picture, or a recipe again")
    draw.add_argument("subject", nargs="?", help="terms with commas between: 'otter, (cowboy hat)++'")
    draw.add_argument(
        "--slot", action="append", default=[], metavar="SLOT=TERMS", help=f"{', '.join(SLOTS)}; may be given again"
    )
    draw.add_argument("--recipe", type=Path, metavar="FILE.yml", help="draw this recipe; other options change it")
    draw.add_argument("--negative-prompt", metavar="TEXT", help="what to keep out; without it the model's own")
    for name, kind in {"seed": int, "steps": int, "width": int, "height": int, "guidance-scale": float}.items():
        draw.add_argument(f"--{name}", type=kind, metavar="NUMBER")
    draw.add_argument("--image", type=Path, metavar="FILE", help="draw from this picture: PNG, JPEG or WebP")
    draw.add_argument("--strength", type=float, metavar="NUMBER", help="how much of it is drawn anew, above 0 to 1")
    for name in ("theme", "model", "sampler", "tier"):
        draw.add_argument(f"--{name}", metavar="NAME")
    draw.add_argument("--out", type=Path, metavar="DIR", help="where to write; without it the settings' pictures")
    draw.set_defaults(run=_draw)

    fetch = commands.add_parser("fetch", help="download a model's weights")
    fetch.add_argument("model", help="for example ssd-1b")
    fetch.set_defaults(run=_fetch)

    doctor = commands.add_parser("doctor", help="say whether this machine can draw, and what to do if not")
    doctor.add_argument("--json", action="store_true", help="for programs")
    doctor.set_defaults(run=_doctor)

    bench = commands.add_parser("bench", help="measure this machine: stock diffusers beside Easel, some minutes")
    bench.add_argument("--model", metavar="NAME", help="without it the default model")
    bench.add_argument("--json", action="store_true", help="for programs")
    bench.add_argument("--repeats", type=_count, default=10, metavar="NUMBER", help="of each measurement; usually 10")
    bench.add_argument(
        "--rows", nargs="+", metavar="ROW", help="such as R1 R8; without it all that can be measured here"
    )
    bench.set_defaults(run=_bench)

    for name, help_ in (("pause", "free the card at once; jobs wait"), ("resume", "go on drawing")):
        command = commands.add_parser(name, help=help_)
        command.add_argument("card", nargs="?", help="one of several cards, such as cuda:1 (default: all)")
        command.set_defaults(run=_pause_or_resume(name))
    return parser


def _serve(_: argparse.Namespace, settings: Settings) -> int:
    from generator.service.server import serve

    return serve(settings)


def _worker(asked: argparse.Namespace, settings: Settings) -> int:
    if find_spec("ray") is None:
        print("To join needs Ray: run make setup CLUSTER=1", file=sys.stderr)
        return 1
    # What it would find out again in another process, whose words nobody reads.
    read_token(asked.token_file)
    cards_of(settings)
    place = {"listen": asked.listen or "127.0.0.1", "port": asked.port, "store_mb": asked.store_mb}
    try:
        ClusterSettings.model_validate({**place, "token_file": asked.token_file})
    except ValidationError as error:
        raise InvalidSettings(f"--{plain_error(error, ClusterSettings).replace('_', '-')}") from error
    # Its workers read the settings again, in other processes.
    if asked.settings is not None:
        os.environ["EASEL_SETTINGS"] = str(asked.settings.resolve())
    from generator.cluster.join import join

    return join(
        asked.join,
        asked.token_file,
        name=asked.name,
        listen=asked.listen,
        port=asked.port,
        store_mb=asked.store_mb,
    )


def _draw(asked: argparse.Namespace, settings: Settings) -> int:
    here = capabilities(settings)
    job = f"cli-{secrets.token_hex(6)}"
    request, image = _with_image(_request(asked), asked)
    recipe = resolve(
        request,
        cards={card.name: card for card in here.models},
        default_model=here.default_model,
        job_id=job,
        image_size=image_size(read_file(image)) if image else None,
    )
    # Weights that are missing are reported at once; to import torch takes many seconds.
    locate(recipe.model, all_cards(settings)[recipe.model])

    from generator.workers.alone import draw_alone

    folder = asked.out or settings.pictures
    path, notes = draw_alone(settings, recipe, request.facts, image=image, folder=folder, job=job)
    for note in (f"Drawn by {recipe.model}.", *notes):
        print(note, file=sys.stderr)
    print(path)
    print(path.with_suffix(".yml"))
    return 0


def _request(asked: argparse.Namespace) -> RecipeRequest:
    """Read the recipe file, if one is named, and apply the options on top. Raises Refused."""
    fields = RecipeRequest.model_fields.keys() - {"slots", "facts", "image"}
    options = {field: getattr(asked, field) for field in fields if getattr(asked, field) is not None}
    request = _read_recipe(asked.recipe) if asked.recipe else RecipeRequest(slots=Slots())
    slots = request.slots.model_dump()
    if asked.subject is not None:
        slots["subject"] = prompt.split_terms(asked.subject)
    for option in asked.slot:
        slot, equals, terms = option.partition("=")
        if slot not in SLOTS or not equals:
            raise Refused(
                "unknown_choice", f"--slot takes SLOT=TERMS with a slot of {', '.join(SLOTS)}, not “{option}”."
            )
        slots[slot] = prompt.split_terms(terms)
    try:
        return RecipeRequest.model_validate({**request.model_dump(), **options, "slots": slots})
    except ValidationError as error:
        raise refusal(error) from error


def _with_image(request: RecipeRequest, asked: argparse.Namespace) -> tuple[RecipeRequest, Path | None]:
    """Return the request with the picture to draw from: the one named, or the one beside the recipe. Raises Refused."""
    if asked.image is None and request.image is None:
        return request, None
    image = asked.image or beside(asked.recipe)
    sha256 = hashlib.sha256(read_file(image)).hexdigest()
    if asked.image is None and sha256 != request.image:
        raise Refused("wrong_hash", "The picture beside the recipe is not the one that it was drawn from.")
    return request.model_copy(update={"image": sha256}), image


def _read_recipe(path: Path) -> RecipeRequest:
    try:
        return recipe_file.read(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refused("bad_recipe", f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeError as error:
        raise Refused("bad_recipe", f"{path} is not a recipe: it is no text in UTF-8.") from error


def _fetch(asked: argparse.Namespace, settings: Settings) -> int:
    cards = all_cards(settings)
    fetchable = tuple(name for name, card in cards.items() if can_be_fetched(card))
    if asked.model not in fetchable:
        message = f"“{asked.model}” is not a model to fetch. There is: {', '.join(fetchable)}."
        raise Refused("unknown_choice", message, choices=fetchable)
    for path in fetch(asked.model, cards[asked.model]):
        print(path)
    return 0


def _doctor(asked: argparse.Namespace, settings: Settings) -> int:
    from generator.doctor import can_draw, examine

    findings = examine(settings)
    well = can_draw(findings)
    if asked.json:
        print(json.dumps({"can_draw": well, "findings": [vars(finding) for finding in findings]}, indent=2))
        return 0 if well else 1
    for finding in findings:
        print(f"{_MARKS[finding.level]} {finding.name}: {finding.message}")
        if finding.advice:
            print(f"    {finding.advice}")
    print("This machine can draw." if well else "This machine cannot draw yet.")
    return 0 if well else 1


def _bench(asked: argparse.Namespace, settings: Settings) -> int:
    from generator.bench.run import ROWS, bench

    report = bench(settings, asked.model, repeats=asked.repeats, rows=asked.rows or ROWS)
    print(json.dumps(report.as_json(), indent=2) if asked.json else report.table())
    return 0


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"“{text[:80]}” is not a host and a port, such as 10.77.0.1:7801")
    return host, int(port)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"“{text[:80]}” is not a number from 1")
    return int(text)


def _pause_or_resume(what: str) -> Callable[[argparse.Namespace, Settings], int]:
    def run(asked: argparse.Namespace, settings: Settings) -> int:
        query = f"?{urlencode({'worker': asked.card})}" if asked.card else ""
        status, answer = asyncio.run(call(settings, "POST", f"/v1/{what}{query}"))
        if status != 200:
            print(answer["error"]["message"], file=sys.stderr)
            return 1
        if answer["state"] == "paused":
            print("Paused: the card is free, jobs wait.")
        elif what == "pause":
            print(f"Paused: {asked.card} is free. Drawing goes on elsewhere.")
        else:
            print("Drawing goes on.")
        return 0

    return run


if __name__ == "__main__":
    sys.exit(main())
