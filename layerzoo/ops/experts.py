"""Mixtures of experts: which experts a token goes to, and what they compute, in blocks of tokens.

Each block of rows belongs to one expert, so that all blocks are one batched product. How many blocks there
are follows from the number of tokens alone, however they are spread, so that every shape is static.

Axis letters: `n` tokens, `k` choices of a token, `e` experts, `m` blocks, `r` rows of a block, `d` features.
"""

from collections import namedtuple

from keras import backend, ops

from layerzoo.ops.activations import activated
from layerzoo.ops.masks import weigh
from layerzoo.ops.padding import padded

TINY = 1e-20
"""Added to a sum of scores, which may be zero where each is the sigmoid of a very negative number."""


def flat_tokens(x, mask):
    """The tokens of `x: (b, ..., d)` one after the other, `(n, d)`, padding being zero; and which are valid.

    Args:
        x: the inputs.
        mask: booleans for the first axes of `x`, false at padding, or None.

    Returns:
        `(n, d)`, and `(n,)` booleans or None.
    """
    valid, sizes = None, ops.shape(x)[:-1]
    if mask is not None:
        missing = len(sizes) - len(mask.shape)
        mask = ops.expand_dims(mask, tuple(range(len(mask.shape), len(mask.shape) + missing)))
        valid = ops.reshape(ops.broadcast_to(mask, sizes), (-1,))
    x = ops.reshape(x, (-1, x.shape[-1]))
    return zero_unless(valid, x), valid


def zero_unless(valid, x):
    """`x: (n, ...)`, with zeros where `valid: (n,)` is false. None is all true."""
    if valid is None:
        return x
    return ops.where(ops.expand_dims(valid, tuple(range(1, len(x.shape)))), x, ops.zeros_like(x))


def router_scores(x, kernel, bias=None):
    """The scores of the experts in float32 or better, and what the choice goes by, both `(n, e)`.

    Args:
        x: `(n, d)`, the tokens.
        kernel: `(d, e)`.
        bias: `(e,)`, added to the sigmoid of each score for the choice alone. None takes the softmax.
    """
    precise = backend.result_type(x.dtype, "float32")
    scores = ops.matmul(ops.cast(x, precise), ops.cast(kernel, precise))
    if bias is None:
        return weigh(scores), scores  # which differ where softmax gives several zeros
    scores = ops.sigmoid(scores)
    return scores, scores + ops.cast(bias, precise)


def chosen(scores, count):
    """The experts with the highest scores of each token, `(n, count)`, the highest first.

    Of equal scores, the one with the lower index comes first.

    Args:
        scores: `(n, e)`. No gradient comes through the choice.
        count: how many, at most `e`.
    """
    scores = ops.stop_gradient(scores)
    places, found = ops.arange(0, scores.shape[-1], dtype="int32"), []
    # neither `argmax` nor `top_k` nor `max`, each of which fails in a file or for no tokens
    highest = ops.sort(scores, axis=-1)
    for choice in range(count):
        end = scores.shape[-1] - choice
        equal = ops.cast(ops.equal(scores, highest[..., end - 1 : end]), "int32")
        first = equal * ops.cast(ops.equal(ops.cumsum(equal, axis=-1), 1), "int32")
        best = ops.sum(first * places, axis=-1)
        found.append(best)
        taken = ops.equal(ops.expand_dims(best, -1), places)
        scores = ops.where(taken, ops.cast(-float("inf"), scores.dtype), scores)
    return ops.stack(found, axis=-1)


def shares(scores, experts):
    """The scores of the chosen experts, `(n, k)`. Several are divided by their sum."""
    places = ops.arange(0, scores.shape[-1], dtype="int32")
    chose = ops.equal(
        ops.expand_dims(experts, -1), places
    )  # (n, k, e); ONNX cannot take along an axis
    found = ops.sum(ops.where(chose, ops.expand_dims(scores, 1), 0.0), axis=-1)
    count = int(experts.shape[-1])  # which is never traced
    if count == 1:  # divided by itself, it would have no gradient
        return found
    return found / (ops.sum(found, axis=-1, keepdims=True) + TINY)


Plan = namedtuple("Plan", "source owner row taken load")
"""Where each token is computed.

- `source`: `(m, r)`, for each row of the blocks the number of its token, counted from 1, or 0 for none.
- `owner`: `(m,)`, the expert of each block.
- `row`: `(n, k)`, the row of each choice.
- `taken`: `(n, k)`, whether the choice is computed. If not, its row means nothing.
- `load`: `(e,)`, how many valid tokens chose each expert.
"""


def planned(experts, num_experts, valid=None, capacity_factor=None):
    """A `Plan` for tokens that chose experts.

    Args:
        experts: `(n, k)`, different ones for each token.
        num_experts: how many experts there are.
        valid: `(n,)` booleans, or None if all are. Others are computed nowhere.
        capacity_factor: how many times the tokens that an expert gets on average it takes at most, rounded
            up, or None. First choices come before second ones, and earlier tokens before later ones.
    """
    n, k = ops.shape(experts)[0], experts.shape[1]
    choices = ops.reshape(ops.transpose(experts), (-1, 1))  # first choices first
    chose = ops.equal(choices, ops.arange(0, num_experts, dtype="int32"))
    if valid is not None:
        chose = ops.logical_and(chose, ops.expand_dims(ops.tile(valid, [k]), -1))
    chose = ops.cast(chose, "int32")  # (k n, e)
    load = ops.sum(chose, axis=0)
    place = ops.sum((ops.cumsum(chose, axis=0) - 1) * chose, axis=-1)
    taken, count = ops.cast(ops.sum(chose, axis=-1), "bool"), load
    if capacity_factor is not None:
        average = ops.cast(ops.sum(load), "float32") / num_experts
        most = ops.ceil(
            capacity_factor * average - 1e-4
        )  # 1.1 times 10 is 11, however it is rounded
        most = ops.cast(most, "int32")
        taken = ops.logical_and(taken, ops.less(place, most))
        count = ops.minimum(load, most)

    rows, blocks = block_sizes(n * k, num_experts)
    last = ops.cumsum((count + rows - 1) // rows, axis=0)
    first = last - (count + rows - 1) // rows
    block = ops.expand_dims(ops.arange(0, blocks, dtype="int32"), -1)
    behind = ops.greater_equal(block, last)  # (m, e)
    owner = ops.minimum(ops.sum(ops.cast(behind, "int32"), axis=-1), num_experts - 1)
    row = ops.sum(chose * first, axis=-1) * rows + place
    row = ops.where(taken, row + 1, 0)  # row 0 takes what is computed nowhere
    token = ops.tile(ops.arange(1, n + 1, dtype="int32"), [k])
    source = ops.zeros((blocks * rows + 1,), dtype="int32")
    # one more, because PyTorch writes another operation if it traces a single one
    places, tokens = padded(row, 0, before=1), padded(token, 0, before=1)
    source = ops.scatter_update(source, ops.expand_dims(places, -1), tokens)[..., 1:]
    source = ops.reshape(source, (blocks, rows))
    row, taken = (ops.transpose(ops.reshape(x, (k, -1))) for x in (row, taken))
    return Plan(source, owner, ops.maximum(row - 1, 0), taken, load)


def block_sizes(choices, num_experts):
    """How many rows a block has, and how many blocks hold all choices however they are spread.

    More rows leave more of them empty, and fewer read the kernels of an expert more often. A quarter of the
    choices that an expert has on average was fastest. A size that is unknown while a graph is traced gives
    128 rows, except on TensorFlow, which computes with it.
    """
    if isinstance(choices, int):
        least, most = min, max
    elif backend.backend() == "tensorflow":
        least, most = ops.minimum, ops.maximum
    else:
        return 128, (choices + num_experts * 127) // 128
    rows = most(1, least(choices, most(32, choices // (4 * num_experts))))
    blocks = (choices + least(num_experts, choices) * (rows - 1)) // rows
    return rows, most(1, blocks)  # from no rows, JAX takes nothing of the right shape


def mixed(x, weights, plan, compute):
    """The weighted sum over its experts of each token, `(n, d)`, in the dtype of `weights`.

    Args:
        x: `(n, d)`, the tokens.
        weights: `(n, k)`, in float32 or better.
        plan: a `Plan`.
        compute: a function of blocks `(m, r, d)` and their owners `(m,)` that computes `(m, r, d)`.
    """
    d = x.shape[-1]
    with_none = ops.concatenate([ops.zeros((1, d), dtype=x.dtype), x], axis=0)
    # without the reshape, TensorFlow's gradient of the concatenation is sparse: XLA compiles that for minutes
    blocks = ops.take(ops.reshape(with_none, (-1, d)), plan.source, axis=0)  # (m, r, d)
    rows = ops.reshape(compute(blocks, plan.owner), (-1, d))
    found = ops.take(rows, plan.row, axis=0)  # (n, k, d)
    found = ops.where(ops.expand_dims(plan.taken, -1), ops.cast(found, weights.dtype), 0.0)
    return ops.sum(found * ops.expand_dims(weights, -1), axis=1)


def gated_in_blocks(x, owner, kernels, activation):
    """What a gated MLP of each block's own expert makes of it: `(m, r, d)`.

    Args:
        x: `(m, r, d)`.
        owner: `(m,)`, the expert of each block.
        kernels: `(e, d, 2 h)`, the gate before the up projection, its bias `(e, 2 h)`, `(e, h, d)`, and its
            bias `(e, d)`. A bias may be None.
        activation: the activation of the gate.
    """
    gate_up, gate_up_bias, down, down_bias = kernels
    gate, up = ops.split(_product(x, owner, gate_up, gate_up_bias), 2, axis=-1)
    rows = activated(activation, ops.reshape(gate, (-1, gate.shape[-1])))
    return _product(ops.reshape(rows, ops.shape(up)) * up, owner, down, down_bias)


def _product(x, owner, kernel, bias):
    """Blocks `(m, r, d)` times the kernels of their experts, `(e, d, h)`, plus their biases, `(e, h)`."""
    e, d, h = kernel.shape
    flat = ops.take(ops.reshape(kernel, (e, d * h)), owner, axis=0)  # two axes, for PyTorch's ONNX
    y = ops.matmul(x, ops.reshape(flat, (-1, d, h)))
    return y if bias is None else y + ops.expand_dims(ops.take(bias, owner, axis=0), 1)


def routes(plan, experts, weights, inputs):
    """The experts and weights of each token of `inputs: (b, ..., d)`, `(b, ..., k)`.

    Where a choice is not computed, the expert is -1 and the weight 0.
    """
    sizes = (*ops.shape(inputs)[:-1], experts.shape[-1])
    experts = ops.where(plan.taken, experts, -1)
    weights = ops.where(plan.taken, weights, ops.zeros_like(weights))
    return ops.reshape(experts, sizes), ops.reshape(weights, sizes)


def balance_loss(scores, load, valid=None):
    """`e * sum(f * p)` over the experts, which is smallest if all get as many tokens: then it is `k`.

    Args:
        scores: `(n, e)`. `p` is the mean share of an expert in the scores of a token.
        load: `(e,)`, how many tokens chose each expert. `f` is their share of the tokens, without a gradient.
        valid: `(n,)` booleans, or None if all tokens count.
    """
    portion = zero_unless(valid, scores / (ops.sum(scores, axis=-1, keepdims=True) + TINY))
    count = ops.ones_like(scores[:, 0]) if valid is None else ops.cast(valid, scores.dtype)
    count = ops.maximum(ops.sum(count), 1.0)
    share = ops.cast(load, scores.dtype) / count
    return scores.shape[-1] * ops.sum(share * ops.sum(portion, axis=0) / count)
