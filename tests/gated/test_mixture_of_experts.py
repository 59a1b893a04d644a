import keras
import numpy as np
import pytest
from arrays import INSIDE, LEFT, RIGHT, close, random
from keras import layers, ops

from layerzoo import GatedMLP, MixtureOfExperts


def silu(z):
    return z / (1 + np.exp(-z))


def mlp(x, gate_up, gate_up_bias, down, down_bias):
    gate, up = np.split(x @ gate_up + gate_up_bias, 2, axis=-1)
    return (silu(gate) * up) @ down + down_bias


def reference(x, weights, router="softmax", top_k=2, shared=0, capacity=None, mask=None):
    """The sum over the chosen experts, token by token, and the balance loss, in float64."""
    tokens = x.astype("float64").reshape(-1, x.shape[-1])
    valid = np.ones(len(tokens), bool) if mask is None else np.ravel(mask)
    tokens = np.where(valid[:, None], tokens, 0)
    logits = tokens @ weights["router"]
    e = logits.shape[-1]
    if router == "softmax":
        scores = np.exp(logits - logits.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        preferred = logits
    else:
        scores = 1 / (1 + np.exp(-logits))
        preferred = scores + weights["balance"]
    experts = np.argsort(-preferred, axis=-1, kind="stable")[:, :top_k]

    room = {i: len(tokens) if capacity is None else capacity for i in range(e)}
    y = np.zeros_like(tokens)
    for choice in range(top_k):
        for token in np.flatnonzero(valid):
            expert = experts[token, choice]
            if room[expert] == 0:
                continue
            room[expert] -= 1
            chosen = scores[token, experts[token]]
            weight = chosen[choice] / (chosen.sum() if top_k > 1 else 1)
            names = ("gate_up", "gate_up_bias", "down", "down_bias")
            y[token] += weight * mlp(tokens[token], *(weights[name][expert] for name in names))
    if shared:
        parts = {
            name: [weights[f"shared/{name}/{kind}"] for kind in ("kernel", "bias")]
            for name in ("gate", "up", "down")
        }
        (gate, gate_bias), (up, up_bias), (down, down_bias) = parts.values()
        y += (silu(tokens @ gate + gate_bias) * (tokens @ up + up_bias)) @ down + down_bias
    y = np.where(valid[:, None], y, 0)

    load = np.bincount(np.ravel(experts[valid]), minlength=e) / valid.sum()
    portion = (scores / scores.sum(axis=-1, keepdims=True))[valid].mean(axis=0)
    return y.reshape(x.shape), e * np.sum(load * portion)


def built(randomise, width=6, seed=0, **config):
    layer = MixtureOfExperts(**{"num_experts": 5, "hidden_dim": 7, **config})
    layer.build((None, None, width))
    return layer, randomise(layer, seed)


@pytest.mark.parametrize("mask", [None, [RIGHT, LEFT, INSIDE]], ids=["all valid", "padded"])
@pytest.mark.parametrize(
    "config",
    [
        dict(),
        dict(router="sigmoid", num_shared_experts=2),
        dict(top_k=1),
        dict(top_k=1, router="sigmoid"),
        dict(top_k=5, num_shared_experts=1),
        dict(top_k=3, capacity_factor=0.5),
    ],
    ids=str,
)
def test_equals_the_reference(randomise, config, mask):
    layer, weights = built(randomise, aux_loss_weight=1.0, **config)
    x = random(3, 5, 6)
    if mask is not None:
        x[~np.array(mask, bool)] = np.nan
    y = layer(x, mask=mask and np.array(mask, bool))
    settings = {k: v for k, v in config.items() if k in ("router", "top_k")}
    tokens, capacity = 15 if mask is None else 9, None
    if "capacity_factor" in config:
        capacity = int(np.ceil(tokens * config["capacity_factor"] * config["top_k"] / 5))
    due, loss = reference(
        np.nan_to_num(x),
        weights,
        shared=config.get("num_shared_experts", 0),
        capacity=capacity,
        mask=mask and np.array(mask, bool),
        **settings,
    )
    close(y, due)
    close(layer.losses[0], loss)


def test_any_number_of_axes(randomise):
    layer, weights = built(randomise)
    for shape in [(4, 6), (2, 3, 6), (2, 3, 2, 6)]:
        x = random(*shape)
        close(layer(x), reference(x, weights)[0])
    mask = np.array([[True, False, True]] * 2)
    y = ops.convert_to_numpy(layer(x, mask=mask))
    assert not y[:, 1].any()
    assert y[:, 0].all()


def test_all_experts_give_the_dense_weighted_sum(randomise):
    layer, weights = built(randomise, top_k=5)
    x = random(2, 30, 6)
    logits = x @ weights["router"]
    scores = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    names = ("gate_up", "gate_up_bias", "down", "down_bias")
    dense = [mlp(x, *(weights[name][i] for name in names)) for i in range(5)]
    close(layer(x), np.einsum("bte,ebtd->btd", scores, dense))


@pytest.mark.parametrize("router", ["softmax", "sigmoid"])
def test_of_equal_scores_the_lower_index_is_chosen(router):
    layer = MixtureOfExperts(6, 3, top_k=4, router=router, kernel_initializer="zeros")
    _, experts, weights = layer(random(2, 3, 5), return_routing=True)
    assert (ops.convert_to_numpy(experts) == [0, 1, 2, 3]).all()
    close(weights, np.full((2, 3, 4), 0.25))


@pytest.mark.parametrize("tokens", [1, 2, 40, 700])
def test_no_token_is_dropped_if_all_choose_the_same_experts(randomise, tokens):
    layer, weights = built(randomise, num_experts=9)
    x = np.repeat(random(1, 1, 6), tokens, axis=1)
    y, experts, _ = layer(x, return_routing=True)
    assert ops.convert_to_numpy(experts).min() >= 0
    close(y, np.repeat(reference(x[:, :1], weights)[0], tokens, axis=1))


def test_where_a_token_went_is_returned(randomise):
    layer, _ = built(randomise, capacity_factor=0.5)
    mask = np.array([RIGHT, INSIDE], bool)
    y, experts, weights = map(
        ops.convert_to_numpy, layer(random(2, 5, 6), mask=mask, return_routing=True)
    )
    assert experts.shape == weights.shape == (2, 5, 2)
    assert (experts[~mask] == -1).all()
    assert not y[~mask].any()
    assert ((experts == -1) == (weights == 0)).all()
    load = np.bincount(experts[experts >= 0], minlength=5)
    assert load.max() == np.ceil(mask.sum() * 0.5 * 2 / 5)  # one expert at least overflows
    assert (experts[mask] == -1).any()


def test_symbolic_routes_have_the_shape_of_real_ones():
    layer, x = MixtureOfExperts(4, 3), random(2, 5, 6)
    real = layer(x, return_routing=True)
    for symbol, y in zip(layer(keras.Input((None, 6)), return_routing=True), real, strict=True):
        assert symbol.shape == (None, None, y.shape[-1])
        assert symbol.dtype == keras.backend.standardize_dtype(y.dtype)


def test_training_moves_the_balancing_bias_towards_equal_loads(randomise):
    layer, weights = built(randomise, router="sigmoid", bias_update_rate=0.25)
    x, mask = random(2, 5, 6), np.array([RIGHT, LEFT], bool)
    x[~mask] = np.nan
    _, experts, _ = layer(x, mask=mask, return_routing=True)
    close(layer.balance, weights["balance"])  # not at inference
    layer(x, mask=mask, training=True)
    load = np.bincount(ops.convert_to_numpy(experts)[mask].ravel(), minlength=5)
    step = 0.25 * np.sign(load.mean() - load)
    close(layer.balance, weights["balance"] + step)
    assert np.any(step > 0)
    assert np.any(step < 0)

    before = ops.convert_to_numpy(layer.balance)
    layer(x, mask=np.zeros((2, 5), bool), training=True)  # no token says anything about the balance
    layer.trainable = False
    layer(x, mask=mask, training=True)
    close(layer.balance, before, 0)


def test_the_balancing_bias_chooses_but_does_not_weigh(randomise):
    layer, weights = built(randomise, router="sigmoid")
    layer.balance.assign([0, 0, 9, 9, 0])
    x = random(1, 4, 6)
    _, experts, found = layer(x, return_routing=True)
    assert np.isin(ops.convert_to_numpy(experts), [2, 3]).all()
    scores = 1 / (1 + np.exp(-(x @ weights["router"])))
    due = np.take_along_axis(scores, ops.convert_to_numpy(experts), axis=-1)
    close(found, due / due.sum(axis=-1, keepdims=True))


def test_the_balance_loss_is_top_k_if_experts_share_alike():
    layer = MixtureOfExperts(4, 3, top_k=1, aux_loss_weight=1.0)
    layer.build((None, 4))
    layer.route.assign(np.eye(4) * 50)
    layer(np.eye(4, dtype="float32"))
    close(layer.losses[0], 1.0)
    layer(np.eye(4, dtype="float32")[[2, 2, 2, 2]])
    close(layer.losses[0], 4.0)
    assert MixtureOfExperts(4, 3, router="sigmoid")(random(2, 4)) is not None
    sigmoid = MixtureOfExperts(4, 3, router="sigmoid")
    sigmoid(random(2, 4))
    assert sigmoid.losses == []


@pytest.mark.parametrize("settings", [dict(run_eagerly=True), dict(jit_compile=False)])
def test_fit_adds_the_balance_loss(settings):
    keras.utils.set_random_seed(0)
    x = random(8, 5, 6)
    model = keras.Sequential(
        [keras.Input((None, 6)), MixtureOfExperts(4, 3, aux_loss_weight=0.5, name="moe")]
    )
    model.compile("sgd", "mse", **settings)
    error = np.mean(np.square(x - ops.convert_to_numpy(model(x))))
    balance = ops.convert_to_numpy(model.losses[0])
    assert len(model.losses) == 1
    found = model.fit(x, x, batch_size=8, verbose=0).history["loss"]
    close(found, [error + balance])


def test_padding_counts_in_no_balance(randomise):
    layer, _ = built(randomise, aux_loss_weight=1.0)
    x = random(2, 5, 6)
    layer(x[:, :3])
    due = ops.convert_to_numpy(layer.losses[0])
    padded = np.concatenate([x[:, :3], np.full((2, 9, 6), np.nan, "float32")], axis=1)
    layer(padded, mask=np.arange(12) < np.array([[3], [3]]))
    close(layer.losses[0], due)
    layer(padded, mask=np.zeros((2, 12), bool))
    assert ops.convert_to_numpy(layer.losses[0]) == 0


def test_an_expert_is_a_gated_mlp(randomise):
    layer, weights = built(randomise, num_experts=1, top_k=1)
    alone = GatedMLP(7)
    alone.build((None, 6))
    for name, column in (("gate", 0), ("up", 1)):
        part = getattr(alone, name)
        part.kernel.assign(np.split(weights["gate_up"][0], 2, axis=-1)[column])
        part.bias.assign(np.split(weights["gate_up_bias"][0], 2)[column])
    alone.down.kernel.assign(weights["down"][0])
    alone.down.bias.assign(weights["down_bias"][0])
    x = random(2, 5, 6)
    close(layer(x), ops.convert_to_numpy(alone(x)))


@pytest.mark.parametrize("seed", [None, 3])
def test_each_expert_starts_as_a_dense_layer_of_its_own(seed):
    layer = MixtureOfExperts(4, 50, kernel_initializer=keras.initializers.HeNormal(seed))
    layer.build((None, 40))
    kernels = [*np.split(ops.convert_to_numpy(layer.gate_up), 2, axis=-1)]
    kernels = [kernel for each in kernels for kernel in each]
    close([kernel.std() for kernel in kernels], [(2 / 40) ** 0.5] * 8, 0.1)
    assert len({kernel[0, 0] for kernel in kernels}) == 8


def test_it_stands_in_a_block(randomise):
    from layerzoo import TransformerEncoderBlock

    block = TransformerEncoderBlock(2, mlp=MixtureOfExperts(4, 8, router="sigmoid"))
    model = keras.Sequential([keras.Input((None, 6)), layers.Masking(), block])
    x = random(2, 5, 6)
    x[:, 3:] = 0
    y = ops.convert_to_numpy(model(x))
    close(model(x[:, :3]), y[:, :3])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            dict(top_k=5),
            r"^`top_k` must be at most `num_experts`. Received: top_k=5, num_experts=4",
        ),
        (dict(router="hash"), r"^`router` must be one of .*Received: router='hash'"),
        (dict(num_shared_experts=-1), r"^`num_shared_experts` must be 0 or a positive integer"),
        (dict(capacity_factor=0), r"^`capacity_factor` must be a positive number"),
    ],
)
def test_bad_arguments(config, message):
    with pytest.raises(ValueError, match=message):
        MixtureOfExperts(4, 8, **config)
