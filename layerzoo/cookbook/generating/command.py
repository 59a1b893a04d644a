"""What `layerzoo generate` does: train the model or load it, write text, and measure."""

import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from layerzoo import measured
from layerzoo.building.arguments import positive_int
from layerzoo.cookbook.bench import missing
from layerzoo.cookbook.generating import characters, costs
from layerzoo_entry.files import demand_ours
from layerzoo_entry.usage import UsageError, users

KIND = "generating"
TEXT = "text"
"""The name of the measurement that holds the training and the text; the others are named by the backend."""

PROMPT = "The statement "
TEMPERATURE = 0.5


def run(
    path: Path,
    prompt: str = PROMPT,
    count: int = 400,
    temperature: float = TEMPERATURE,
    seed: int = 0,
    steps: int = characters.STEPS,
    console: Console | None = None,
) -> dict:
    """Train a model and save it, or load it if it was saved; print a text, and how long its steps took.

    Args:
        path: The file of the model.
        prompt: What the text begins with.
        count: The number of characters to generate.
        temperature: What the scores are divided by; 0 takes the likeliest character each time.
        seed: The seed of weights, training and text.
        steps: How many steps the model is trained.
        console: Where to print.

    Returns:
        What was found, as plain data.

    Raises:
        UsageError: the file was not written by this command, or an argument is out of range.
        KeyboardInterrupt: Ctrl-C was pressed; the model is saved as it was then.
    """
    console = console or Console()
    demand_model(path)
    with users(ValueError):
        positive_int(count=count)
        positive_int(steps=steps)
    if not prompt:
        raise UsageError("`prompt` must have a character. Received: prompt=''")
    if not 0 <= temperature < float("inf"):
        raise UsageError(f"`temperature` must be 0 or more. Received: temperature={temperature}")
    found = {} if path.is_file() else _trained(path, seed, steps, console)
    model = keras.saving.load_model(path)
    given = characters.numbers(prompt)
    made, kept = _generated(model, given, count, temperature, seed, console)
    few = min(count, 50)
    again = _timed(characters.without_state(model, len(given) + few), given, few, temperature, seed)
    same = again[0] == made[:few]
    with_ms, without_ms = kept, again[1]
    console.print(
        f"\n{with_ms:.1f} ms a character with a state, {without_ms:.1f} ms without; "
        f"the first {few} characters are {'the same' if same else 'not the same'}",
        highlight=False,
    )
    return found | {"prompt": prompt, "text": made, "temperature": temperature, "same": same}


def demand_model(path: Path) -> None:
    """Demand that a path can hold the model, and that no other file is there.

    Raises:
        UsageError: the path does not end in `.keras`, its folder does not exist, or its file is not ours.
    """
    if path.suffix != ".keras":
        raise UsageError(f"The file of a model must end in `.keras`. Received: {str(path)!r}")
    if not path.resolve().parent.is_dir():
        raise UsageError(f"The file must be in an existing folder. Received: {str(path)!r}")
    demand_ours([path], characters.NAME, advice="name another file")


def _trained(path, seed, steps, console):
    """Train the model and save it, also if Ctrl-C ends the training."""
    keras.utils.set_random_seed(seed)
    text = characters.corpus()
    held_out = len(text) * 19 // 20
    model = characters.character_model()
    start = time.perf_counter()
    with Progress(
        TextColumn("training"),
        BarColumn(),
        TextColumn("step {task.completed}/{task.total}, {task.fields[state]}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        line = progress.add_task("", total=steps, state="compiling")

        def tell(step, loss):
            progress.update(line, completed=step, state=f"mean loss {loss:.2f}")

        whole = characters.train(model, text[:held_out], steps, seed, tell)
    save(model, path)
    console.print(f"saved {path}", soft_wrap=True, highlight=False, markup=False)
    if not whole:
        raise KeyboardInterrupt
    seconds = time.perf_counter() - start
    loss = characters.loss_of(model, text[held_out:])
    console.print(f"loss at a character that was held out: {loss:.3f}", highlight=False)
    return {
        "characters": len(text),
        "parameters": model.count_params(),
        "steps": steps,
        "seconds": round(seconds),
        "loss": round(loss, 3),
    }


def save(model: keras.Model, path: Path) -> None:
    """Save a model in one step: an interrupted write leaves no broken file."""
    with tempfile.TemporaryDirectory(prefix=".layerzoo-", dir=path.resolve().parent) as scratch:
        model.save(Path(scratch, path.name))
        os.replace(Path(scratch, path.name), path)


def _generated(model, given, count, temperature, seed, console):
    """Print a text as it comes; return it, and the fastest step in ms."""
    console.print(f"\n{characters.text_of(given)}", end="", markup=False, highlight=False)
    tell = lambda text: console.out(text, end="", highlight=False)  # noqa: E731
    scores = characters.with_state(model, len(given) + count)
    return _timed(scores, given, count, temperature, seed, tell)


def _timed(scores, given, count, temperature, seed, tell=lambda text: None):
    text, seconds = "", []
    for character, took in characters.generate(scores, given, count, temperature, seed):
        text += chr(character)
        seconds.append(took)
        tell(chr(character))
    steps = seconds[2:] or seconds  # the prompt and the first step compile
    return text, 1e3 * min(steps)


def measure(path: Path, console: Console) -> dict:
    """What steps cost on this process's backend, as plain data, with the model that a file holds."""
    model = keras.saving.load_model(path)
    backend = keras.backend.backend()
    with console.status("") as status:
        tell: Callable = lambda text: status.update(f"{backend}: {text}")  # noqa: E731
        lengths = costs.by_length(model, tell)
        memory = costs.memory()
        rows = costs.beside_keras_hub(tell)
    return {"lengths": lengths, "memory": memory, "steps": rows, **about(backend)}


def about(backend: str) -> dict:
    """When, where and with what something was measured."""
    packages = ["keras", backend, *([] if missing("keras_hub") else ["keras-hub"])]
    return {
        "backend": backend,
        "date": datetime.date.today().isoformat(),
        "machine": f"{_threads(backend)}, {platform.machine()}",
        "versions": {name: importlib.metadata.version(name) for name in packages}
        | {"python": platform.python_version()},
    }


def _threads(backend):
    if backend != "torch":
        return f"{os.cpu_count()} cores"
    import torch

    return f"{os.cpu_count()} cores, threads: {torch.get_num_threads()}"


def run_all(
    path: Path, folder: Path | None, backends: Sequence[str], console: Console, **given
) -> int:
    """Write text; with a folder, measure too, and write what was found. One process for each other backend.

    Args:
        path: The file of the model.
        folder: The folder of measurements that the pages read, or None.
        backends: Where to run. The first one trains the model, if there is none.
        console: Where to print.
        **given: As for `run`.

    Returns:
        The exit code.
    """
    demand_model(path)
    here = keras.backend.backend()
    if folder:
        measured.demand_ours(folder, KIND, [TEXT, *backends])
    for index, backend in enumerate(backends):
        if backend != here:
            code = _elsewhere(backend, path, folder, given)
            if code:
                return code
            continue
        trains = not path.is_file()
        found = run(path, console=console, **given)
        if folder:
            if trains or index == 0:
                old = {} if trains else measured.read(folder, KIND, TEXT)
                measured.write(folder, KIND, TEXT, old | found | ({} if old else about(here)))
            written = measured.write(folder, KIND, here, measure(path, console))
            console.print(f"wrote {written}", soft_wrap=True, highlight=False)
    return 0


def _elsewhere(backend, path, folder, given) -> int:
    """Run the command in a process with another backend. Ctrl-C reaches that one too, which then ends."""
    command = [sys.executable, "-W", "ignore", "-m", "layerzoo", "generate", str(path)]
    names = {"count": "characters"}
    command += [f"--{names.get(name, name)}={value}" for name, value in given.items()]
    command += ["--measured", str(folder)] if folder else []
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(command, env={**quiet, **os.environ, "KERAS_BACKEND": backend})
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the process saves its model first
            continue
