r"""Steps that follow others: their order without padding, and the buffers that keep what was seen.

Axis letters: `b` batch, `t` steps, `s` slots of a buffer, `n` heads, `g` key/value heads, `r` query heads per
key/value head, `h` head width, `v` width of a value, `d` features.
"""

import math
from collections import namedtuple

from keras import ops

from layerzoo.ops.attention import (
    attend_all,
    attention,
    attention_with_scores,
    grouped,
    time_first,
)
from layerzoo.ops.attention_blocks import Sight, blocks
from layerzoo.ops.attention_torch import has_kernel
from layerzoo.ops.masks import known_values
from layerzoo.ops.padding import padded
from layerzoo.ops.randomness import kept, made_up

UNSEEN = 2**30
"""The place of a key that no query attends to: behind all others."""


def valid_first(x, mask, state):
    """Move the padding of `x: (b, t, d)` behind the valid steps, which keep their order, if there is a state.

    Returns:
        The moved steps, their mask, and a function that moves what was computed from them back.
    """
    if state is None or mask is None:
        return x, mask, lambda y: y
    valid = ops.cast(mask, "int32")
    count = ops.sum(valid, axis=1, keepdims=True)
    rank = ops.where(
        ops.cast(valid, "bool"),
        ops.cumsum(valid, axis=1) - 1,
        count + ops.cumsum(1 - valid, axis=1) - 1,
    )
    order = ops.argsort(rank, axis=1)
    moved_mask = ops.arange(0, ops.shape(x)[1], dtype="int32") < count
    return moved(x, order), moved_mask, lambda y: moved(y, rank)


def moved(x, index):
    """The steps of `x: (b, t, d)` at `index: (b, t)`."""
    return ops.take_along_axis(x, ops.expand_dims(ops.cast(index, "int32"), -1), axis=1)


def after(past, x, mask=None):
    """Steps behind earlier ones, and the latest of both, as many as there were.

    Args:
        past: `(b, s, d)`, the steps before.
        x: `(b, t, d)`, the steps that follow. Padding is behind the valid steps.
        mask: `(b, t)`, false at padding, or None.

    Returns:
        `(b, s + t, d)`, and the last `s` of them before the padding.
    """
    both = ops.concatenate([past, x], axis=1)
    if mask is None:
        return both, both[:, ops.shape(x)[1] :]
    count = ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True)
    return both, moved(both, count + ops.arange(0, past.shape[1], dtype="int32"))


def written(buffer, new, slots):
    """`buffer: (b, ..., s, d)`, with `new: (b, ..., t, d)` at `slots: (b, t)`."""
    *rows, s, d = ops.shape(buffer)
    for _ in rows[1:]:
        slots = ops.expand_dims(slots, 1)
    row = ops.reshape(ops.arange(0, math.prod(rows), dtype="int32"), (*rows, 1))
    index = ops.reshape(row * s + slots, (-1, 1))
    flat = ops.scatter_update(ops.reshape(buffer, (-1, d)), index, ops.reshape(new, (-1, d)))
    return ops.reshape(flat, ops.shape(buffer))


def attention_from(state, query, key, value, mask, return_scores, causal=True, **sees):
    """Attention from a state, or without one if it is None: what was attended to, and what goes with it.

    Args:
        state: as in `attend_and_keep`, or None.
        query: as there.
        key: as there.
        value: as there.
        mask: as there.
        return_scores: whether to return scores where there is no state.
        causal: whether a step attends only to itself and to earlier steps. With a state, it is.
        **sees: `window`, and as there.

    Returns:
        `(b, t, n, v)`, and the new state, the scores or None.
    """
    if state is None:
        return attention_with_scores(query, key, value, mask, return_scores, causal=causal, **sees)
    return attend_and_keep(query, key, value, state, mask, **sees)


def attend_and_keep(query, key, value, state, mask=None, window=None, **sees):
    """Causal attention to the steps that a state keeps and to new ones, which it then keeps too.

    Args:
        query: `(b, t, n, h)`.
        key: `(b, t, g, h)`.
        value: `(b, t, g, v)`.
        state: a dict of `key`, `(b, g, s, h)`, `value`, `(b, g, s, v)`, and `place`, `(b,)`, the number of
            steps so far. The last slot takes what need not be kept.
        mask: `(b, t)`, false at padding, which is behind the valid steps. It takes no place.
        window: as in `attention`. The slots are then used in turn.
        **sees: `bias`, `weights` and `dropout`, as in `attention`.

    Returns:
        `(b, t, n, v)` and the new state. A step for which no slot is left gives NaN.
    """
    before, place = [state["key"], state["value"]], state["place"]
    new = [ops.transpose(x, (0, 2, 1, 3)) for x in (key, value)]
    keep = kept_behind if window is None else kept_in_turn
    (keys, values), steps = keep(before, new, place, mask)
    if starts(place):  # there is nothing else to attend to
        attended = attention(query, key, value, mask, causal=True, window=window, **sees)
    elif window is None:
        attended = attend_to_places(query, keys, values, steps.places, steps.there, **sees)
        attended = nan_without_room(attended, steps)
    else:
        pairs = zip(before, new, strict=True)
        seen, seen_values = (ops.concatenate(pair, axis=2) for pair in pairs)
        behind = ops.shape(before[0])[2]
        attended = attend_to_places(
            query, seen, seen_values, steps.places, steps.there, window, behind=behind, **sees
        )
    return attended, dict(key=keys, value=values, place=steps.next)


def starts(place):
    """Whether no step was before, where that can be seen."""
    places = known_values(place)
    return places is not None and not places.any()


Steps = namedtuple("Steps", ["places", "there", "room", "next"])
"""Steps that follow others. `places`: `(b, t)`, where they are. `there`: `(b, s)` or `(1, s)`, where the keys
are that they may attend to. `room`: the number of places. `next`: `(b,)`, the place behind them."""


def kept_behind(buffers, new, place, mask=None):
    """Keep new steps behind those that buffers hold.

    Args:
        buffers: a list of `(b, ..., s, d)`. The last slot takes what is not kept.
        new: for each of them, `(b, ..., t, d)`.
        place: `(b,)`, the number of steps that the buffers hold.
        mask: `(b, t)`, false at padding, which is behind the valid steps; or None.

    Returns:
        The new buffers, and the `Steps`.
    """
    places, own, count = _placed(new[0], place, mask)
    slots = ops.shape(buffers[0])[-2] - 1
    must_have_room(place, count, slots)
    target = ops.where(own < slots, own, slots)
    slot = ops.arange(0, slots + 1, dtype="int32")
    there = ops.expand_dims(ops.where(slot < slots, slot, UNSEEN), 0)
    return _all_written(buffers, new, target), Steps(places, there, slots, place + count)


def kept_in_turn(buffers, new, place, mask=None):
    """Like `kept_behind`, but the slots are used in turn, so that the latest steps are kept.

    The keys `there` are those of the buffers before, and behind them the new ones.
    """
    places, own, count = _placed(new[0], place, mask)
    slots = ops.shape(buffers[0])[-2] - 1
    there = ops.concatenate([places_in_turn(place, slots), own], axis=1)
    latest = ops.logical_and(own >= ops.expand_dims(place + count - slots, 1), own < UNSEEN)
    target = ops.where(latest, ops.mod(places, slots), slots)
    return _all_written(buffers, new, target), Steps(places, there, slots, place + count)


def _placed(new, place, mask):
    """The places of steps `(b, ..., t, d)`; the same, but `UNSEEN` for padding; and how many are valid."""
    t = ops.shape(new)[-2]
    places = ops.expand_dims(place, 1) + ops.arange(0, t, dtype="int32")
    if mask is None:
        return places, places, ops.zeros_like(place) + t
    return places, ops.where(mask, places, UNSEEN), ops.sum(ops.cast(mask, "int32"), axis=1)


def _all_written(buffers, new, slots):
    """Buffers with new steps at `slots: (b, t)`. Zeros go to the last slot, so that it stays as it is."""
    kept = ops.expand_dims(slots < ops.shape(buffers[0])[-2] - 1, -1)
    found = []
    for buffer, steps in zip(buffers, new, strict=True):
        there = kept if len(steps.shape) == 3 else ops.expand_dims(kept, 1)
        found.append(written(buffer, ops.where(there, steps, 0), slots))
    return found


def nan_without_room(attended, steps):
    """`attended: (b, t, n, v)`, but NaN at steps for which there is no room, where nothing can be raised."""
    room = ops.expand_dims(steps.places < steps.room, (2, 3))
    return ops.where(room, attended, ops.cast(math.nan, attended.dtype))


def cross_attention_from(
    state, query, context, context_mask, mask=None, return_scores=False, **sees
):
    """Attention to a context, or to the one that a state keeps, and the state behind the queries.

    Args:
        state: None, or a dict of `place`, `(b,)`, the number of queries so far, and of what it keeps of a
            context: `key`, `(b, g, s, h)`, `value`, `(b, g, s, v)`, and `mask`, `(b, s)`.
        query: `(b, t, n, h)`.
        context: a new one: a pair of keys, `(b, s, g, h)`, and values, `(b, s, g, v)`. None takes that of the
            state.
        context_mask: `(b, s)`, the mask of a new context, or None.
        mask: `(b, t)`, false at padding, which is behind the valid steps; or None.
        return_scores: whether to return scores where there is no state.
        **sees: `bias`, `weights` and `dropout`, as in `attention`.

    Returns:
        `(b, t, n, v)`, and the new state, the scores or None.
    """
    if state is None:
        key, value = context
        return attention_with_scores(query, key, value, context_mask, return_scores, **sees)
    if context is not None:
        key, value = (ops.transpose(x, (0, 2, 1, 3)) for x in context)
        b, _, s, _ = ops.shape(key)
        seen = ops.ones((b, s), "bool") if context_mask is None else context_mask
        state = state | dict(key=key, value=value, mask=seen)
    key, value, place = state["key"], state["value"], state["place"]
    places, _, count = _placed(query[:, :, 0], place, mask)
    there = ops.arange(0, ops.shape(key)[2], dtype="int32")
    there = ops.where(state["mask"], there, UNSEEN)
    attended = attend_to_places(query, key, value, places, there, causal=False, **sees)
    return attended, state | dict(place=place + count)


def must_have_room(place, count, slots):
    """Raise a `ValueError` if there are more steps than slots, where their number can be seen."""
    before, new = known_values(place), known_values(count)
    if before is None or new is None or not isinstance(slots, int):
        return
    if (before + new > slots).any():
        raise ValueError(
            "`initial_state` must have room for the steps that follow. Its room is the `length` of "
            f"`get_initial_state`. Received: {before.max()} steps kept, {new.max()} new, room for {slots}"
        )


def places_in_turn(place, slots):
    """The place of what each slot holds, `(b, slots + 1)`, if the steps before `place: (b,)` took turns."""
    last = ops.expand_dims(place, 1) - 1
    slot = ops.expand_dims(ops.arange(0, slots + 1, dtype="int32"), 0)
    held = last - ops.mod(last - slot, slots)
    return ops.where(ops.logical_and(held >= 0, slot < slots), held, UNSEEN)


def attend_to_places(
    query,
    key,
    value,
    query_places,
    key_places,
    window=None,
    bias=None,
    weights=(),
    dropout=None,
    causal=True,
    behind=None,
):
    """Attention where places are given, and are not the order of the keys.

    Args:
        query: `(b, t, n, h)`.
        key: `(b, g, s, h)`.
        value: `(b, g, s, v)`.
        query_places: `(b, t)`.
        key_places: `(b, s)` or `(1, s)`. No query attends to a key at `UNSEEN`.
        window: a query attends only to keys less than this many places away.
        bias: a function that returns what to add to the scores, `(b, n, m, k)`, given the places of the
            queries, `(b, m)`, of the keys, and `weights`.
        weights: the tensors that `bias` depends on.
        dropout: as in `attention`.
        causal: whether a query attends only to its own place and to earlier ones.
        behind: how many keys are before those of the queries' own steps, if they are in order. With
            `window`, fewer keys are then read.

    Returns:
        `(b, t, n, v)`.
    """
    q, s = grouped(query, key.shape[1]), ops.shape(key)[2]
    b, g, r, t, _ = ops.shape(q)
    value = value if dropout is None else made_up(value, dropout[0])
    rate, seed = dropout or (None, None)
    in_kernel = query.shape[1] != 1 and dropout is None and not weights and has_kernel(q, value)
    spans = blocks(t, s, window=window, in_kernel=in_kernel)
    spans = [(q0, q1, 0, s) for q0, q1, _, _ in spans]
    if behind is not None and isinstance(t, int):
        own = blocks(t, t, True, window, in_kernel)
        spans = [(q0, q1, k0 and behind + k0, behind + k1) for q0, q1, k0, k1 in own]
    elif not isinstance(t, int):  # a block may reach beyond the queries
        query_places = padded(query_places, 1, after=len(spans) - 1)

    def look_given(given):
        query_places, key_places, seed = given

        def look(i, span, weights, hold=lambda x: x):
            q0, q1, k0, k1 = span
            m, k = q1 - q0, k1 - k0
            here, there = hold(query_places)[:, q0:q1], hold(key_places)[:, k0:k1]
            added = kept_here = None
            distance = ops.expand_dims(here, 2) - ops.expand_dims(there, 1)
            allowed = distance >= 0 if causal else ops.expand_dims(there < UNSEEN, 1)
            if window is not None:
                allowed = ops.logical_and(allowed, distance < window)
            allowed = ops.expand_dims(allowed, (1, 2))
            if bias is not None:
                added = ops.reshape(bias(here, there, *weights), (b, g, r, m, k))
            if seed is not None:
                kept_here = kept((b, g, r, m, k), rate, seed, part=i)
            some = ops.any(allowed, axis=-1, keepdims=True)
            return Sight(added, allowed, some, kept_here)

        return look

    given = query_places, key_places, seed
    return time_first(attend_all(q, key, value, weights, given, spans, look_given, in_kernel))
