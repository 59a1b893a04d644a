"""Multi-head latent attention: keys and values are projected from latents, or the latents serve as both.

Axis letters: `b` batch, `t` query time, `s` key time, `n` heads, `h` head width, `l` latent width, `r` rotary
width.
"""

from keras import ops

from layerzoo.ops.attention import attention_with_scores, split_groups
from layerzoo.ops.steps import attend_to_places, kept_behind, nan_without_room, starts


def latent_attention(
    queries, latents, project, mask, state=None, return_scores=False, causal=False, dropout=None
):
    """Attention whose keys and values come from latents, and whose keys have a rotary part that heads share.

    Args:
        queries: a pair: `(b, t, n, h)`, and the rotary part, `(b, t, n, r)`.
        latents: a pair: `(b, s, l)`, and the rotary part of the keys, `(b, s, 1, r)`.
        project: a linear function with a bias, from `(..., l)` to keys and values, `(..., 2 n h)`, by head.
        mask: `(b, s)`, false at padding, or None.
        state: a dict of `latent`, `(b, s, l + r)`, the latents and rotated keys so far, and `place`, `(b,)`,
            their number; or None. The last slot takes what need not be kept.
        return_scores: whether to return scores where there is no state.
        causal: whether a step attends only to itself and to earlier steps. With a state, it is.
        dropout: as in `attention`.

    Returns:
        `(b, t, n, h)`, and the new state, the scores or None.
    """
    after = None
    if state is not None:
        new = ops.concatenate([latents[0], latents[1][:, :, 0]], axis=-1)
        (kept,), steps = kept_behind([state["latent"]], [new], state["place"], mask)
        after = dict(latent=kept, place=steps.next)
        if not starts(state["place"]):
            return attend_to_latents(queries, kept, project, steps, dropout), after
    n = queries[0].shape[2]
    latent, turned = latents
    key, value = split_groups(project(latent), n, (1, 1))
    query = ops.concatenate(queries, axis=-1)
    key = ops.concatenate([key, ops.repeat(turned, n, axis=2)], axis=-1)
    attended, scores = attention_with_scores(
        query, key, value, mask, return_scores, causal=causal, dropout=dropout
    )
    return attended, scores if state is None else after


def attend_to_latents(queries, kept, project, steps, dropout=None):
    """Attend to the latents as keys and as values, so that no step is projected again.

    The projection of a key goes to the query, and that of a value behind the sum. What the bias adds to the
    scores of a query is the same for all keys.

    Args:
        queries: as in `latent_attention`, as are `project` and `dropout`.
        kept: `(b, s, l + r)`, the latents and rotated keys so far.
        project: as there.
        steps: the `Steps` of the queries.
        dropout: as there.

    Returns:
        `(b, t, n, h)`.
    """
    query, turned_query = queries
    n, h = query.shape[2:]
    width = kept.shape[-1] - turned_query.shape[-1]

    # the identity and a row of zeros give the kernel and the bias, also where they are quantised or adapted
    rows = project(ops.eye(width + 1, width, dtype=query.dtype))
    bias = rows[width]
    kernel = ops.reshape(rows[:width] - bias, (width, n, 2, h))
    query = ops.einsum("btnh,lnh->btnl", query, kernel[:, :, 0])
    query = ops.concatenate([query, turned_query], axis=-1)
    query = query * (query.shape[-1] / (h + turned_query.shape[-1])) ** 0.5
    key = ops.expand_dims(kept, 1)
    attended = attend_to_places(query, key, key, steps.places, steps.there, dropout=dropout)
    attended = nan_without_room(attended[..., :width], steps)
    values = ops.einsum("btnl,lnh->btnh", attended, kernel[:, :, 1])
    return values + ops.reshape(bias, (n, 2, h))[:, 1]
