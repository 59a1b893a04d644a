"""Run properties on samples: first a pairwise deck, then random draws. A failing sample is simplified."""

import contextlib
import math
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
from hypothesis import configuration

from layerzoo import foreign
from layerzoo.catalogue import Card, Traits
from layerzoo.tensors import compat
from layerzoo.tensors.outcomes import Finding, Inconclusive, NotApplicable, Violation
from layerzoo.testing.engine.cards import home
from layerzoo.testing.engine.case import Case, card_of
from layerzoo.testing.engine.claims import unclaimed
from layerzoo.testing.engine.comparison import Comparison, Fact, Finite, Note, Sometimes, judged
from layerzoo.testing.engine.programs import seen
from layerzoo.testing.engine.register import COSTS, PROPERTIES, Property, select
from layerzoo.testing.engine.report import Failure, Report, Result, Status
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
    inputs: Any = None,
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
        instance=card is not card_or_layer,
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
        found = _search(
            card, each, PROFILES[profile], target or home(card), simplify, known, causes
        )
    found = _as_expected(card, each, found)
    if found.status == "failed":
        known.update({cause: each.id for cause in causes if cause != VIOLATION})
    return replace(found, seconds=time.perf_counter() - start)


def _as_expected(card: Card, each: Property, found: Result) -> Result:
    """The result in the light of what the card expects."""
    failure = _expected(card.expected_failures, each)
    undecided = _expected(card.expected_inconclusive, each)
    if failure and found.status in ("failed", "not_asked"):
        return replace(found, status="expected_failure", reason=failure, failure=None)
    if undecided and found.status == "inconclusive":
        return replace(found, status="expected_inconclusive", reason=undecided, failure=None)
    if (failure or undecided) and found.status == "passed":
        to = "fail" if failure else "be inconclusive"
        reason = f"{each.id} passes, but the card expects it to {to}: {failure or undecided}"
        return replace(found, status="unexpected_pass", reason=reason)
    return found


def _expected(reasons: Mapping[str, str], each: Property) -> str:
    """The reason that a card gives for a property, for this backend or for all; empty if it gives none."""
    return reasons.get(f"{each.id}@{compat.BACKEND}") or reasons.get(each.id, "")


def check_sample(card: Card, each: Property, sample: Sample) -> "Outcome":
    """Check one property at one sample, which a token in a report names.

    Raises:
        Violation: the property does not hold.
        NotApplicable: it does not apply at this sample, or there was nothing to compare.
        Inconclusive: it could be neither confirmed nor refuted.
        Exception: whatever else the layer or the property raises.
    """
    with compat.undisturbed():
        return _checked(each, Case(card, sample))


@dataclass(frozen=True)
class Outcome:
    """What a property found at a sample at which it holds.

    Attributes:
        shown: Whether the sample shows what one sample must show. None if nothing of that kind is due.
        notes: What the check leaves open.
    """

    shown: bool | None = None
    notes: tuple[str, ...] = ()


def _checked(each: Property, case: Case) -> Outcome:
    """What a property finds. Whatever it and the layer do, only Ctrl-C ends the run."""
    return foreign.contained(_judged, each, case)


def _judged(each: Property, case: Case) -> Outcome:
    """Judge what a property yields, one comparison after another."""
    refutable = _to_be_refuted(each, case)
    compared, shown, notes = 0, None, []
    with contextlib.closing(each.check(case)) as evidence:
        for item in evidence:
            if isinstance(item, Note):
                notes.append(item.text)
            elif isinstance(item, Sometimes):
                compared, shown = compared + 1, bool(shown) or bool(item.holds)
            elif isinstance(item, Comparison | Fact | Finite):
                verdict = judged(item)
                compared += verdict.share is not None
                if refutable and isinstance(item, Comparison):
                    shown = verdict.violation is not None
                    if shown:
                        break
                elif verdict.violation is not None:
                    raise verdict.violation
            else:
                raise TypeError(
                    f"A property must yield comparisons. Received: {foreign.shown(item)} from {each.id}"
                )
    if not compared:
        raise NotApplicable("at this size there is nothing to compare")
    return Outcome(shown, tuple(notes))


def _to_be_refuted(each: Property, case: Case) -> bool:
    """Whether the card declares the property's claim false, so that some sample must refute it.

    Raises:
        NotApplicable: the card does not make the claim.
    """
    if not each.claim:
        return False
    claimed = getattr(case.traits, each.claim)
    if claimed is False and each.never:
        return True
    if claimed is None or claimed is False or claimed == {}:
        raise NotApplicable(f"the card does not claim `{each.claim}`")
    return False


def _search(card, each, profile, target, simplify, told, causes) -> Result:
    """Look at one sample after another. The cause of an error that is found is added to `causes`."""
    looked = 0
    shown: list[bool] = []
    excuses: list[str] = []
    notes: dict[str, None] = {}
    undecided: list[tuple[Sample, Inconclusive]] = []
    enough = each.brief if _is_brief(profile) else math.inf

    def result(status: Status, **more) -> Result:
        return Result(each.id, each.name, status, looked, **more)

    def token(sample: Sample) -> str:
        return str(Token(each.id, target, sample))

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
                return result(
                    "not_asked", reason=f"not asked because of {by}, which meets this error"
                )
            causes.append(cause)
            if cause != VIOLATION and first_step(Case(card, sample), outcome):
                causes.append(cause[1:])  # of whatever type: no property gets past this
            if simplify:
                again = lambda s, c=cause: _cause(card, _outcome(card, each, s)) == c  # noqa: E731
                sample = simplest(sample, again)
            looked += 1
            failure = failure_at(card, each, sample, target, simplify)
            return result("failed", token=token(sample), failure=failure)
        else:
            looked += 1
            notes.update(dict.fromkeys(outcome.notes))
            shown += [outcome.shown] if outcome.shown is not None else []
        if looked >= enough and (any(shown) or not each.never):
            break
    if undecided:  # and no sample failed
        sample, reason = undecided[0]
        failure = _undecided(card, each, reason, Token(each.id, target, sample))
        return result("inconclusive", token=token(sample), failure=failure)
    if shown and not any(shown):
        title = f"{card.name}  {each.id} {each.name}  FAILED"
        return result("failed", failure=Failure(title, "", Finding(each.never)))
    if looked == 0:
        if excuses:
            return result("not_applicable", reason=excuses[0])
        return result("not_run", reason=TOO_LONG)
    return result("passed", reason="; ".join(notes))


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


def failure_at(
    card: Card, each: Property, sample: Sample, target: str, program: bool = True
) -> Failure:
    """Build the failure; this reruns the check.

    Args:
        card: The card.
        each: The property.
        sample: The sample at which it fails.
        target: What names the card in a token.
        program: Whether to look for a program that fails as the check does.
    """
    case = Case(card, sample)
    hint, shown, error = each.hint, each.program, None
    try:
        _checked(each, case)
        found = Finding("did not fail again at its simplest sample: the layer is not deterministic")
    except Violation as violation:
        found, hint = violation.finding, violation.hint or hint
    except Exception as raised:
        found, error = None, raised
        step = first_step(case, error)
        hint, shown = hint_for(case, each, error, step), step.shown if step else shown
    code, no_program = seen(case, shown, type(error) if error else None) if program else ("", "")
    return Failure(
        title=_title(card, each, "FAILED"),
        statement=each.statement,
        finding=found,
        raised=type(error).__name__ if error else "",
        message=_said(error) if error else "",
        at=place_of(card.layer, error) if error else "",
        sample=sample.token,
        setting=f"({case.written})  {case.shapes()}",
        hint=hint,
        program=code,
        no_program=no_program,
        command=Token(each.id, target, sample).command,
    )


def _undecided(card: Card, each: Property, reason: Inconclusive, token: Token) -> Failure:
    return Failure(
        title=_title(card, each, "INCONCLUSIVE"),
        statement=each.statement,
        finding=Finding(str(reason)),
        hint=f"A card can expect this: expected_inconclusive={{{each.id!r}: 'why'}}",
        command=token.command,
    )


def _title(card: Card, each: Property, came_out: str) -> str:
    versions = f"keras {keras.__version__}, {compat.BACKEND}"
    return f"{card.name}  {each.id} {each.name}  {came_out}  ({versions})"


def _said(error: Exception) -> str:
    """An error's message, without the trace that TensorFlow puts into it."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return "\n".join(line for line in lines if not line.startswith('  File "'))


__all__ = ["PROFILES", "PROPERTIES", "Profile", "check_layer", "check_property", "check_sample"]
