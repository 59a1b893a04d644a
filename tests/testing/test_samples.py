"""Samples: drawn from few shapes, covered pairwise, simplified, replayed from a token."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerzoo import Card, catalogue
from layerzoo.gated import GatedMLP
from layerzoo.tensors import compat
from layerzoo.tensors.outcomes import NotApplicable
from layerzoo.testing import Case, Fact, Sometimes
from layerzoo.testing.engine.register import Property, select
from layerzoo.testing.engine.run import POOL, PROFILES, check_property, looked_at
from layerzoo.testing.engine.samples import (
    BUCKETS,
    VALUES,
    Replay,
    Sample,
    deck,
    options,
    simpler,
    simplest,
)
from layerzoo.testing.engine.strategies import drawn, samples

CARD = catalogue()["SelfAttention"]


@given(samples(CARD))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_a_token_brings_its_sample_back(sample):
    assert Sample.parse(sample.token) == sample


@pytest.mark.parametrize(
    "token",
    [
        *("", "nonsense", "0.1:9:normal:0", "0.1:0:strange:0", "a:0:normal:0", "1:2:3"),
        *("0:0,t:normal:0", "0:0,t=:normal:0", "0:0,t=-1:normal:0", "0:0,=3:normal:0"),
    ],
)
def test_what_is_no_token_is_refused(token):
    with pytest.raises(ValueError, match="Received: token="):
        Sample.parse(token)


@pytest.mark.parametrize(
    ("token", "sizes"),
    [
        ("0.2.1:0:normal:7", {}),
        ("-:1:ties:0", {}),
        ("0.2.1:0,b=1,t=9:normal:7", {"b": 1, "t": 9}),
    ],
)
def test_an_old_token_means_what_it_meant_and_a_new_one_has_sizes(token, sizes):
    sample = Sample.parse(token)
    assert sample.token == token
    assert dict(sample.sizes) == sizes
    assert eval(repr(sample)) == sample
    case = Case(CARD, replace(sample, choices=()))
    assert case.sizes == {**{k: BUCKETS[sample.bucket][k] for k in "bt"}, "d": 8, **sizes}


def test_sizes_are_simplified_as_far_as_the_failure_needs_them():
    sample = Sample((1, 1), 0, "ties", 5, {"b": 7, "t": 33, "s": 4})
    found = simplest(sample, lambda each: dict(each.sizes).get("t", 5) >= 10)
    assert found == Sample((0, 0), sizes={"t": 10})
    found = simplest(sample, lambda each: dict(each.sizes).get("b", 2) in (1, 7))
    assert found == Sample((0, 0), sizes={"b": 1})


def test_the_deck_begins_with_the_plain_layer_and_then_moves_everything():
    first, second = itertools.islice(deck(CARD, 2), 2)
    assert set(first.choices) == {0}
    assert first.bucket == 0
    assert 0 not in second.choices
    assert second.bucket == 1


def test_the_deck_soon_covers_every_pair_of_options():
    counts = [*options(CARD), len(BUCKETS)]
    seen = set()
    rows = list(deck(CARD, 60))
    for sample in rows:
        row = [*sample.choices, sample.bucket]
        seen |= {(i, row[i], j, row[j]) for i, j in itertools.combinations(range(len(row)), 2)}
    due = sum(a * b for a, b in itertools.combinations(counts, 2))
    assert len(seen) == due
    assert len(rows) < 40, "and then it ends"


def test_after_as_many_rows_as_a_pick_has_options_each_has_been_seen():
    for place, count in enumerate(options(CARD)):
        assert {row.choices[place] for row in deck(CARD, count)} == set(range(count))
    assert {row.bucket for row in deck(CARD, 3)} == {0, 1, 2}


def test_draws_are_all_different_and_none_is_a_row_that_everybody_looks_at():
    for number in (4, 30):
        found = drawn(CARD, number)
        assert len(set(found)) == number
        assert not set(found) & set(deck(CARD, 2))


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_no_property_looks_twice_and_together_they_look_at_every_draw(profile):
    seen = set()
    for each in select():
        found = looked_at(CARD, each, profile)
        assert len(found) == len(set(found)) <= profile.rows[each.cost] + profile.draws[each.cost]
        seen |= set(found)
    if any(profile.draws.values()):
        assert seen >= set(drawn(CARD, max(POOL, *profile.draws.values())))


@pytest.fixture
def looking(monkeypatch):
    """Checks a property on a backend, and gives the samples that it was given."""

    def looking(backend, outcome, profile="smoke", **how):
        monkeypatch.setattr(compat, "BACKEND", backend)
        found = []

        def check(case):
            found.append(case.sample)
            shows = outcome(case.sample)
            yield Fact(True, "it is") if shows is None else Sometimes(shows)

        each = Property("a.b", "check", "a", "must", "cheap", "It holds.", check, **how)
        return found, check_property(CARD, each, profile, simplify=False).status

    return looking


PLAIN, MOVED, *_ = deck(CARD, 2)


def test_tensorflow_looks_at_every_row_and_the_others_at_the_moved_one(looking):
    assert looking("tensorflow", lambda sample: None) == ([PLAIN, MOVED], "passed")
    for backend in ("jax", "torch"):
        assert looking(backend, lambda sample: None) == ([MOVED], "passed")
        assert looking(backend, lambda sample: None, brief=2) == ([MOVED, PLAIN], "passed")


def test_a_thorough_profile_looks_at_every_row_everywhere(looking):
    assert len(looking("torch", lambda sample: None, "ci")[0]) > 30


def test_a_row_that_does_not_decide_is_followed_by_the_next(looking):
    def only_plain(sample):
        if sample == MOVED:
            raise NotApplicable("not here")

    assert looking("torch", only_plain) == ([MOVED, PLAIN], "passed")
    refuted = lambda sample: sample == PLAIN  # noqa: E731
    assert looking("torch", refuted, never="never") == ([MOVED, PLAIN], "passed")
    silent = lambda sample: None  # noqa: E731
    assert looking("torch", silent, never="never") == ([MOVED, PLAIN], "passed")
    assert looking("torch", lambda sample: False, never="never") == ([MOVED, PLAIN], "failed")


def test_no_two_axes_of_a_bucket_that_meet_in_an_input_have_one_size():
    for bucket in BUCKETS[:2]:
        for axes in ("btd", "bsd", "byxc", "bts"):
            sizes = [bucket[letter] for letter in axes]
            assert len(set(sizes)) == len(sizes), (axes, sizes)


@given(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), st.integers(0, 99))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_a_failing_sample_is_simplified_as_far_as_it_fails(choices, seed):
    sample = Sample(choices, 1, VALUES[1], seed)
    found = simplest(sample, lambda each: each.choices[1] == choices[1])
    assert found == Sample((0, choices[1], 0), 0, "normal", 0)
    assert list(simpler(Sample((0, 0, 0)))) == []


def test_a_choice_beyond_the_options_wraps_around():
    replay = Replay([5])
    assert replay(["a", "b", "c"]) == "c"
    assert replay(["x", "y"]) == "x", "nothing recorded means the first"
    assert replay.options == [3, 2]


def test_picks_may_depend_on_each_other():
    card = Card(
        layer=GatedMLP,
        inputs="b d",
        configs=lambda pick: dict(hidden_dim=pick([2, 4]) * (1 if pick([0, 1]) else pick([1, 2]))),
    )
    assert options(card) == [2, 2, 2]
