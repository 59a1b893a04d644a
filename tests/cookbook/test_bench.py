"""A measurement is of the two layers that it names, in pairs, and says what the machine can do."""

from concurrent.futures import Future
from dataclasses import replace
from xml.etree import ElementTree

import keras
import pytest

from layerzoo.attention.cards.self_attention import operations
from layerzoo.card import Peer
from layerzoo.catalogue import catalogue
from layerzoo.cookbook import bench
from layerzoo.cookbook.pages.speed import speed_page, speed_picture
from layerzoo_entry.cli import main

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


@pytest.fixture
def here(monkeypatch):
    """Measures in this process, where the peer is replaced, and makes up the memory."""

    class Here:
        def __init__(self, number):
            self.number = number

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def submit(self, function, *given):
            future: Future = Future()
            future.set_result(function(*given))
            return future

    monkeypatch.setattr(bench, "processes", Here)
    monkeypatch.setattr(bench, "peak", lambda name, index, long, side: float(len(side)))


@pytest.mark.skipif(bench.BACKEND != "tensorflow", reason="only TensorFlow's work can be compiled")
def test_each_work_has_a_row_with_both_sides_or_one(peer, here):
    report = bench.measure(["GatedMLP"], 3, long=True)
    both, alone = report["GatedMLP"]["rows"]
    assert (both["parameters"], both["parameters_instead"]) == (4, 8)
    assert (both["peak_mb"], both["peak_mb_instead"]) == (5, 4)
    assert both["ratio"] > 0 < both["share"]
    assert alone["parameters"] == 20
    assert {alone[key] for key in ("ratio", "ms_instead", "peak_mb_instead")} == {None}
    page = speed_page(report)
    assert "b 2, t 3, d 4, units 5, compiled |" in page
    assert "twice as wide" in str(bench.table(report).columns[3]._cells)


def test_work_may_name_another_peer(peer, here):
    work = [dict(b=2, t=3, d=4), dict(b=2, t=3, d=4, instead="twice by hand")]
    units = {None: 2, "twice by hand": 6}
    peer(
        work=work,
        peer=lambda sizes, instead=None: keras.layers.Dense(units[instead], use_bias=False),
    )
    usual, other = bench.measure(["GatedMLP"], 1)["GatedMLP"]["rows"]
    assert (usual["instead"], usual["parameters_instead"]) == ("twice as wide", 8)
    assert (other["instead"], other["parameters_instead"]) == ("twice by hand", 24)
    assert usual["work"] == other["work"] == "b 2, t 3, d 4"


def test_a_peer_of_a_package_that_is_not_installed_is_left_out(peer):
    peer(work=[WORK[0], WORK[0] | {"instead": "not_installed.layers.Dense"}])
    assert bench.works_of("GatedMLP") == WORK[:1]
    peer(work=[WORK[0] | {"instead": "keras.layers.Dense"}])
    assert len(bench.works_of("GatedMLP")) == 1


@pytest.mark.skipif(bench.BACKEND == "tensorflow", reason="TensorFlow's work can be compiled")
def test_work_to_be_compiled_is_left_to_tensorflow(peer, here):
    (row,) = bench.measure(["GatedMLP"], 1, long=True)["GatedMLP"]["rows"]
    assert row["work"] == "b 2, t 3, d 4"


def test_the_memory_of_ordinary_work_is_that_of_the_last(peer, here):
    peer(work=[dict(b=2, t=3, d=4), dict(b=2, t=5, d=4)])
    first, last = bench.measure(["GatedMLP"], 1)["GatedMLP"]["rows"]
    assert (first["peak_mb"], last["peak_mb"]) == (None, 5)


def test_the_peak_of_a_step_is_looked_at(peer):
    assert bench.peak("GatedMLP", 0, True, "layer") >= 0


def rows_of(backend, ms=1.0):
    """What a measurement on a backend returns, with one row."""
    row = dict(backend=backend, work="b 1, t 2, d 4", instead="Keras's", ms=ms, ms_instead=2.0)
    row |= dict(ratio=ms / 2, peak_mb=3.0, peak_mb_instead=4.0, matrix_gflops=1.0, share=None)
    about = {"date": "2026-11-20", "machine": "2 cores", "versions": {"keras": "3.15.1"}}
    return {"backends": {backend: about}, "rows": [row]}


def test_each_backend_replaces_only_its_own_rows():
    both = bench.merged(bench.merged(None, rows_of("tensorflow")), rows_of("jax"))
    again = bench.merged(both, rows_of("tensorflow", ms=5.0))
    assert {row["backend"]: row["ms"] for row in again["rows"]} == {"jax": 1.0, "tensorflow": 5.0}
    assert set(again["backends"]) == {"tensorflow", "jax"}


def test_a_backend_that_is_not_installed_is_told(monkeypatch, capsys):
    monkeypatch.setattr(bench, "missing", lambda backend: backend == "torch")
    monkeypatch.setattr(
        bench, "_elsewhere", lambda backend, names, *_: dict.fromkeys(names, rows_of(backend))
    )
    assert main(["bench", "GatedMLP", "--backend", "all"]) == 1
    assert "not measured: torch is not installed." in capsys.readouterr().out


def test_a_measurement_that_fails_is_told(monkeypatch, capfd):
    monkeypatch.setattr(bench.sys, "executable", "false")
    backend = keras.backend.backend()
    with pytest.raises(RuntimeError, match=rf"on {backend} must end with results; .* exit code 1"):
        bench.measure_on([backend], ["GatedMLP"], 1)


def test_the_page_and_its_picture_show_each_backend():
    found = bench.merged(rows_of("tensorflow"), rows_of("jax", ms=3.0))
    page, picture = speed_page({"SelfAttention": found}), speed_picture({"SelfAttention": found})
    assert "Time with JAX divided by the time with TensorFlow: 3.00 (b 1, t 2, d 4)." in page
    assert "Not measured with PyTorch." in page
    assert "b 1, t 2, d 4, JAX: time 1.50, peak memory 0.75" in picture
    ElementTree.fromstring(picture)


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
