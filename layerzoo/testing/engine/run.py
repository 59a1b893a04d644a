"""Run properties on samples: first a pairwise deck, then random draws. A failing sample is simplified."""

import contextlib
import math
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from hypothesis import configuration

from layerzoo import foreign
from layerzoo.catalogue import Card, Traits
from layerzoo.tensors import compat
from layerzoo.tensors.outcomes import Inconclusive, NotApplicable, Violation, counted
from layerzoo.testing.engine.cards import home
from layerzoo.testing.engine.case import Case, card_of
from layerzoo.testing.engine.claims import unclaimed
from layerzoo.testing.engine.programs import seen
from layerzoo.testing.engine.register import COSTS, PROPERTIES, Property, select
from layerzoo.testing.engine.report import Report, Result, Status, printable
from layerzoo.testing.engine.samples import Sample, deck, simplest
from layerzoo.testing.engine.strategies import drawn
from layerzoo.testing.engine.token import Token
from layerzoo.testing.engine.triage import (
    first_step,
    hint_for,
    in_order,
    place_of,
    same_cause,
)


@dataclass(frozen=True)
class Profile:
    """How thoroughly properties are checked.

    Attributes:
        rows: How many rows of the pairwise deck are used, by the property's cost.
        draws: How many random samples follow, by the property's cost. The properties take turns with one
            pool of samples, so that together they try more samples than any of them alone.
        brief: Whether JAX and PyTorch check only as many samples as the property's `brief` says, beginning
            with the row that moves every option. TensorFlow checks all samples.
    """

    rows: dict[str, int]
    draws: dict[str, int]
    brief: bool = True


def _by_cost(*numbers: int) -> dict[str, int]:
    return dict(zip(COSTS, numbers, strict=True))


PROFILES = {
    "smoke": Profile(_by_cost(2, 2, 2, 0), _by_cost(0, 0, 0, 0)),
    "proof": Profile(_by_cost(2, 2, 2, 1), _by_cost(0, 0, 0, 0)),
    "dev": Profile(_by_cost(2, 2, 2, 0), _by_cost(1, 0, 0, 0)),
    "pages": Profile(_by_cost(2, 2, 2, 1), _by_cost(1, 0, 0, 0)),
    "ci": Profile(_by_cost(30, 12, 4, 2), _by_cost(20, 6, 1, 0), brief=False),
    "deep": Profile(_by_cost(60, 60, 20, 8), _by_cost(500, 100, 20, 2), brief=False),
}


POOL = 4
"""The minimum size of the pool of random samples. Each sample costs a compilation on JAX."""

TOO_LONG = "it takes seconds; the profiles `pages`, `ci` and `deep` run it"


VIOLATION = ("violation",)

Told = dict[tuple[str, ...], str]
"""Which property reported which cause of an error of a layer."""


def profile_named(name: str | None) -> str:
    """The name of a profile. None means the profile in `LAYERZOO_PROFILE`, or `dev`.

    Raises:
        ValueError: there is no such profile.
    """
    name = name or os.environ.get("LAYERZOO_PROFILE", "dev")
    if name not in PROFILES:
        raise ValueError(f"`profile` must be one of {', '.join(PROFILES)}. Received: {name!r}")
    return name


def check_layer(
    card_or_layer: Card | keras.layers.Layer,
    inputs=None,
    profile: str | None = None,
    only: Sequence[str] = (),
    traits: Traits | None = None,
) -> Report:
    """Check every property of a layer, or only the selected ones.

    Args:
        card_or_layer: A card, or an instance of any Keras layer. The instance stays unchanged.
        inputs: Only for an instance: the shape of its input with the batch first, or a dict from the names
            of `call`'s arguments to shapes.
        profile: One of `PROFILES`. Default: the environment variable `LAYERZOO_PROFILE`, or `dev`.
        only: Ids, names or groups of properties, shell patterns allowed. Default: all.
        traits: Only for an instance: what it claims in addition to what every layer must satisfy.

    Returns:
        The report. A failure does not raise: see `Report.ok` and `Report.raise_on_failure`.

    Raises:
        TypeError: the first argument is neither a card nor a layer.
        ValueError: `inputs` is missing for an instance, a profile or property is unknown, or a card gives
            no size for an axis letter.
    """
    profile = profile_named(profile)
    demanded = select(*only)
    if isinstance(card_or_layer, Card):
        card, target = card_or_layer, None
    elif isinstance(card_or_layer, keras.layers.Layer):
        if inputs is None:
            raise ValueError(
                "`inputs` must be the shape of the input if an instance is checked. Received: inputs=None"
            )
        card, target = card_of(card_or_layer, inputs, traits), "-"
    else:
        raise TypeError(
            "The first argument must be a Card or an instance of a Keras layer. "
            f"Received: {card_or_layer!r}"
        )
    told: Told = {}
    found = {
        each.id: check_property(card, each, profile, target, told=told)
        for each in in_order(demanded)
    }
    return Report(
        layer=card.name,
        backend=compat.BACKEND,
        profile=profile,
        demanded=tuple(each.id for each in demanded),
        results=tuple(found[each.id] for each in demanded),
        unclaimed=unclaimed(card),
    )


def check_property(
    card: Card,
    each: Property,
    profile: str | None = None,
    target: str | None = None,
    simplify: bool = True,
    told: Told | None = None,
) -> Result:
    """Check one property of a card, on as many samples as the profile allows for its cost.

    Args:
        card: The card to check.
        each: The property.
        profile: As for `check_layer`.
        target: What names the card in a token. Default: its name in the catalogue, if it has one.
        simplify: Whether to look for the simplest sample at which the property fails, and for a program that
            shows it.
        told: The errors that earlier properties of this card reported; a new one is added. If the layer
            raises one of these again, the result is `not_asked` and names the property that reported it.

    Raises:
        ValueError: the card leaves an axis letter without a size, or the profile is unknown.
    """
    profile = profile_named(profile)
    Case(card, Sample()).sizes  # noqa: B018  a mistake in a card is not a finding about its layer
    start = time.perf_counter()
    known = {} if told is None else told
    causes: list[tuple[str, ...]] = []
    with compat.undisturbed():
        status, looked, message, token = _search(
            card, each, PROFILES[profile], target or home(card), simplify, known, causes
        )
    failure = _expected(card.expected_failures, each)
    undecided = _expected(card.expected_inconclusive, each)
    if failure and status in ("failed", "not_asked"):
        status, message = "expected_failure", failure
    elif undecided and status == "inconclusive":
        status, message = "expected_inconclusive", undecided
    elif (failure or undecided) and status == "passed":
        to = "fail" if failure else "be inconclusive"
        message = f"{each.id} passes, but the card expects it to {to}: {failure or undecided}"
        status = "unexpected_pass"
    if status == "failed":
        known.update({cause: each.id for cause in causes if cause != VIOLATION})
    seconds = time.perf_counter() - start
    return Result(each.id, each.name, status, looked, printable(message), token, seconds)


def _expected(reasons: Mapping[str, str], each: Property) -> str:
    """The reason that a card gives for a property, for this backend or for all; empty if it gives none."""
    return reasons.get(f"{each.id}@{compat.BACKEND}") or reasons.get(each.id, "")


def check_sample(card: Card, each: Property, sample: Sample) -> bool | str | None:
    """Check one property at one sample, which a token in a report names. Raises what the property raises."""
    with compat.undisturbed():
        return _checked(each, Case(card, sample))


def _checked(each: Property, case: Case) -> bool | str | None:
    """What a property finds. Whatever it and the layer do, only Ctrl-C ends the run.

    A property of ours that compared nothing at a sample says nothing about it. One of a plug-in may compare
    in a way of its own.
    """
    with counted() as comparisons:
        outcome = foreign.contained(each.check, case)
    if outcome is None and not comparisons[0] and "." not in each.id:
        raise NotApplicable("at this size there is nothing to compare")
    if outcome is None or isinstance(outcome, bool | str):
        return outcome
    if isinstance(outcome, np.bool_):
        return bool(outcome)
    raise TypeError(
        "A property must return None, True, False or a text. "
        f"Received: {foreign.shown(outcome)} from {each.id}"
    )


def _search(card, each, profile, target, simplify, told, causes) -> tuple[Status, int, str, str]:
    """Look at one sample after another. The cause of an error that is found is added to `causes`."""
    looked = 0
    refuted: list[bool] = []
    excuses: list[str] = []
    notes: dict[str, None] = {}
    enough = each.brief if _is_brief(profile) else math.inf
    undecided: list[tuple[Sample, Inconclusive]] = []
    token = lambda sample: str(Token(each.id, target, sample))  # noqa: E731
    for sample in looked_at(card, each, profile):
        outcome = _outcome(card, each, sample)
        if isinstance(outcome, NotApplicable):
            excuses.append(str(outcome))
        elif isinstance(outcome, Inconclusive):
            undecided.append((sample, outcome))
        elif isinstance(outcome, Exception):
            cause = _cause(card, outcome)
            by = told.get(cause) or told.get(cause[1:])
            if by:
                return "not_asked", looked, f"not asked because of {by}, which meets this error", ""
            causes.append(cause)
            if cause != VIOLATION and first_step(Case(card, sample), outcome):
                causes.append(cause[1:])  # of whatever type: no property gets past this
            if simplify:
                again = lambda s, c=cause: _cause(card, _outcome(card, each, s)) == c  # noqa: E731
                sample = simplest(sample, again)
            message = failure_message(card, each, sample, target, simplify)
            return "failed", looked + 1, message, token(sample)
        elif isinstance(outcome, str):
            looked += 1
            notes[outcome] = None
        else:
            looked += 1
            refuted += [outcome] if outcome is not None else []
        if looked >= enough and (any(refuted) or not each.never):
            break
    if undecided:  # and no sample failed
        sample, reason = undecided[0]
        message = _inconclusive_message(card, each, reason, Token(each.id, target, sample))
        return "inconclusive", looked, message, token(sample)
    if refuted and not any(refuted):
        message = f"{card.name}  {each.id} {each.name}  FAILED\n  {each.never}"
        return "failed", looked, message, ""
    if looked == 0:
        return ("not_applicable", 0, excuses[0], "") if excuses else ("not_run", 0, TOO_LONG, "")
    return "passed", looked, "; ".join(notes), ""


def _cause(card, outcome) -> tuple[str, ...]:
    """The cause of an error of the layer; empty for any other outcome, and for a comparison that failed."""
    if not isinstance(outcome, Exception) or isinstance(outcome, NotApplicable | Inconclusive):
        return ()
    return VIOLATION if isinstance(outcome, Violation) else same_cause(card.layer, outcome)


def _outcome(card, each, sample):
    compat.forget_unfinished_calls()
    try:
        return _checked(each, Case(card, sample))
    except Exception as error:  # any error that a layer raises is a finding
        return error


def _is_brief(profile: Profile) -> bool:
    return profile.brief and compat.BACKEND != "tensorflow"


def looked_at(card: Card, each: Property, profile: Profile) -> list[Sample]:
    """The samples of a property: the first rows of the deck, and its share of the pool of draws."""
    rows = list(deck(card, profile.rows[each.cost]))
    if _is_brief(profile):
        rows = rows[1:2] + rows[:1] + rows[2:]
    share = profile.draws[each.cost]
    pool: Sequence[Sample] = []
    if share:
        with _no_traces():
            pool = drawn(card, max(POOL, *profile.draws.values()))
    first = sum(each.id.encode())  # does not depend on which other properties exist
    turn = [pool[(first + place) % len(pool)] for place in range(share)]
    return rows + [sample for sample in turn if sample not in rows]


@contextlib.contextmanager
def _no_traces() -> Iterator[None]:
    """Let Hypothesis write its caches elsewhere, not into a folder `.hypothesis` where the user works."""
    before = vars(configuration).get("__hypothesis_home_directory")
    with tempfile.TemporaryDirectory() as folder:
        configuration.set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            configuration.set_hypothesis_home_dir(before)


def failure_message(
    card: Card, each: Property, sample: Sample, target: str, program: bool = True
) -> str:
    """Build the failure message; this reruns the check.

    Args:
        card: The card.
        each: The property.
        sample: The sample at which it fails.
        target: What names the card in a token.
        program: Whether to show a program, if one is seen to fail.
    """
    case = Case(card, sample)
    hint, shown, raised = each.hint, each.shown, None
    try:
        _checked(each, case)
        detail = "  (did not fail again at its simplest sample: the layer is not deterministic)"
    except Violation as violation:
        detail = f"  {str(violation).lstrip()}"
        hint = violation.hint or hint
    except Exception as error:
        text = f"{type(error).__name__}: {_said(error)}"
        detail = f"  raised          {text}\n  at              {place_of(card.layer, error)}"
        step = first_step(case, error)
        hint, raised = hint_for(case, each, error, step), type(error)
        shown = step.shown if step else shown
    if hint and "card" in hint and target == "-":
        hint += " An instance has no card: declare it with `check_layer(..., traits=Traits(...))`."
    versions = f"keras {keras.__version__}, {compat.BACKEND}"
    return (
        f"{card.name}  {each.id} {each.name}  FAILED  ({versions})\n"
        f"  {each.statement}\n{detail}\n"
        f"  smallest sample {sample.token}  ({case.written})  {case.shapes()}\n"
        + (f"  hint            {hint}\n" if hint else "")
        + (f"  to see it{seen(case, shown, raised)}\n" if program else "")
        + f"  to check again  {Token(each.id, target, sample).command}"
    )


def _inconclusive_message(card: Card, each: Property, reason: Inconclusive, token: Token) -> str:
    versions = f"keras {keras.__version__}, {compat.BACKEND}"
    return (
        f"{card.name}  {each.id} {each.name}  INCONCLUSIVE  ({versions})\n"
        f"  {each.statement}\n  {str(reason).lstrip()}\n"
        f"  hint            A card can expect this: expected_inconclusive={{{each.id!r}: 'why'}}\n"
        f"  to check again  {token.command}"
    )


def _said(error: Exception) -> str:
    """An error's message, without the trace that TensorFlow puts into it."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return "\n".join(line for line in lines if not line.startswith('  File "'))


__all__ = ["PROFILES", "PROPERTIES", "Profile", "check_layer", "check_property", "check_sample"]
