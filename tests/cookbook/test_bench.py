"""A measurement is of the two layers that it names, in pairs, and says what the machine can do."""

from dataclasses import replace

import keras
import pytest

from layerzoo.attention.cards.self_attention import operations
from layerzoo.card import Peer
from layerzoo.catalogue import catalogue
from layerzoo.cookbook import bench
from layerzoo.cookbook.pages.speed import speed_page

WORK = [dict(b=2, t=3, d=4), dict(b=2, t=3, d=4, units=5, jit=True, alone=True)]


@pytest.fixture
def peer(monkeypatch):
    """Gives the card of `GatedMLP` another peer."""

    def give(**changes):
        peer = Peer(
            instead="twice as wide",
            work=WORK[:1],
            long=WORK,
            layer=lambda sizes, units=1: keras.layers.Dense(units, use_bias=False),
            peer=lambda sizes, units=2: keras.layers.Dense(units, use_bias=False),
            operations=lambda b, t, d, units=1, **_: 6 * b * t * d * units,
        )
        card = replace(catalogue()["GatedMLP"], peer=replace(peer, **changes))
        monkeypatch.setattr(bench, "catalogue", lambda: {"GatedMLP": card})

    give()
    return give


def test_each_work_has_a_row_with_both_sides_or_one(peer, monkeypatch):
    monkeypatch.setattr(bench, "elsewhere", lambda name, *given: getattr(bench, name)(*given))
    monkeypatch.setattr(bench, "peak", lambda name, index, long, side: float(len(side)))
    report = bench.measure(["GatedMLP"], 3, long=True)
    both, alone = report["GatedMLP"]["rows"]
    assert (both["parameters"], both["parameters_instead"]) == (4, 8)
    assert (both["peak_mb"], both["peak_mb_instead"]) == (5, 4)
    assert both["ratio"] > 0 < both["share"]
    assert alone["parameters"] == 20
    assert {alone[key] for key in ("ratio", "ms_instead", "peak_mb_instead")} == {None}
    page = speed_page(report)
    assert "b 2, t 3, d 4, units 5, compiled |" in page
    assert "twice as wide" in str(bench.table(report).columns[2]._cells)


def test_short_work_has_no_memory(peer):
    (row,) = bench.measure(["GatedMLP"], 1)["GatedMLP"]["rows"]
    assert "peak_mb" not in row


def test_the_peak_of_a_step_is_looked_at(peer):
    assert bench.peak("GatedMLP", 0, True, "layer") >= 0


def test_a_layer_without_large_work_is_told(peer):
    peer(long=())
    with pytest.raises(ValueError, match=r"`long` work\. Received: 'GatedMLP'"):
        bench.measure(["GatedMLP"], 1, long=True)


def test_a_layer_without_a_peer_is_refused(monkeypatch):
    card = replace(catalogue()["GatedMLP"], peer=None)
    monkeypatch.setattr(bench, "catalogue", lambda: {"GatedMLP": card})
    with pytest.raises(
        ValueError, match=r"card must name a `peer` to compare it with\. Received: 'GatedMLP'"
    ):
        bench.measure(["GatedMLP"], 1)


def test_pairs_are_counted():
    with pytest.raises(ValueError, match="`pairs` must be a positive integer"):
        bench.measure(["SelfAttention"], 0)


def test_operations_count_what_may_be_seen():
    def seen(**given):
        return (operations(b=1, t=4, d=1, **given) - 3 * 2 * 4 * 4) / 12

    assert seen() == 1 + 2 + 3 + 4
    assert seen(window=2) == 1 + 2 + 2 + 2
    assert seen(window=9) == seen()
