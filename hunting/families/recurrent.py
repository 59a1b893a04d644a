"""Cards of the layers in `keras.src.layers.rnn`."""

from keras import layers

from hunting.families.common import FORMATS, weights
from layerzoo.catalogue import Card, Traits


def _common(pick):
    """What the recurrent layers share: what comes out, in which order, and what is kept between calls."""
    return dict(
        return_sequences=pick([False, True]),
        return_state=pick([False, False, True]),
        go_backwards=pick([False, True]),
        stateful=pick([False, False, True]),
    )


def _drops(pick):
    return dict(dropout=pick([0.0, 0.3]), recurrent_dropout=pick([0.0, 0.2]), seed=pick([None, 3]))


def _stochastic(config):
    return config.get("dropout", 0) > 0 or config.get("recurrent_dropout", 0) > 0


def _inputs(states):
    """A sequence, and initial states where the layer gives its last ones."""

    def inputs(config):
        if not config["return_state"]:
            return "b t d"
        return {"sequences": "b t d", "initial_state": ["b e"] * states}

    return inputs


TRAITS = dict(
    masking=lambda config: "propagates" if config["return_sequences"] else "consumes",
    dynamic=lambda config: " ".join(
        letter
        for letter in ("b", "t")
        if not ((config["stateful"] and letter == "b") or (config.get("unroll") and letter == "t"))
    ),
    causal=lambda config: (
        True
        if config["return_sequences"] and not config["go_backwards"] and not config["return_state"]
        else None
    ),
    stochastic=_stochastic,
    state=lambda config: "always" if config["stateful"] else None,
)


def _gated(layer, states, **others):
    return Card(
        layer=layer,
        inputs=_inputs(states),
        configs=lambda pick: dict(
            units=3,
            activation=pick(["tanh", "gelu"]),
            use_bias=pick([True, True, False]),
            **_drops(pick),
            **_common(pick),
            unroll=pick([False, True]),
            **{name: pick(values) for name, values in others.items()},
            **weights(pick, "kernel", "recurrent", "bias"),
        ),
        dims=lambda pick, config: dict(e=3, t=pick([4, 3])),
        traits=Traits(**TRAITS),
        errors=[dict(units=0), dict(units=-1)],
    )


def _cell(layer, inputs, **others):
    return Card(
        layer=layer,
        inputs=inputs,
        configs=lambda pick: dict(
            units=3,
            activation=pick(["tanh", "gelu"]),
            use_bias=pick([True, True, False]),
            **_drops(pick),
            **{name: pick(values) for name, values in others.items()},
            **weights(pick, "kernel", "recurrent", "bias", activity=False),
        ),
        dims=lambda pick, config: dict(e=3),
        traits=Traits(stochastic=_stochastic),
        errors=[dict(units=0), dict(units=-1)],
    )


def _convolutional(rank):
    space_letters = " ".join("zyx"[3 - rank :])

    def inputs(config):
        first = config["data_format"] == "channels_first"
        return f"b t c {space_letters}" if first else f"b t {space_letters} c"

    return Card(
        layer=getattr(layers, f"ConvLSTM{rank}D"),
        inputs=inputs,
        configs=lambda pick: dict(
            filters=2,
            kernel_size=pick([2, 3]),
            **pick([{}, dict(strides=2), dict(dilation_rate=2)]),
            padding=pick(["valid", "same"]),
            data_format=pick(FORMATS),
            activation=pick(["tanh", "gelu"]),
            recurrent_activation=pick(["sigmoid", "tanh"]),
            use_bias=pick([True, True, False]),
            unit_forget_bias=pick([True, False]),
            **_drops(pick),
            **_common(pick),
            **weights(pick, "kernel", "recurrent", "bias"),
        ),
        dims=lambda pick, config: dict(t=3, z=5, y=5, x=6, c=2),
        traits=Traits(**{**TRAITS, "dynamic": lambda c: "t" if c["stateful"] else "b t"}),
        errors=[dict(filters=2, kernel_size=0)],
    )


CARDS = [
    _gated(layers.SimpleRNN, 1),
    _gated(
        layers.GRU,
        1,
        recurrent_activation=["sigmoid", "tanh"],
        reset_after=[True, False],
        use_cudnn=["auto", False],
    ),
    _gated(
        layers.LSTM,
        2,
        recurrent_activation=["sigmoid", "tanh"],
        unit_forget_bias=[True, False],
        use_cudnn=["auto", False],
    ),
    _cell(layers.SimpleRNNCell, {"sequence": "b d", "states": "b e"}),
    _cell(
        layers.GRUCell,
        {"inputs": "b d", "states": "b e"},
        recurrent_activation=["sigmoid", "tanh"],
        reset_after=[True, False],
    ),
    _cell(
        layers.LSTMCell,
        {"inputs": "b d", "states": ["b e", "b e"]},
        recurrent_activation=["sigmoid", "tanh"],
        unit_forget_bias=[True, False],
    ),
    Card(
        layer=layers.StackedRNNCells,
        inputs={"inputs": "b d", "states": ["b e", "b e"]},
        configs=lambda pick: dict(
            cells=[
                layers.GRUCell(3, reset_after=pick([True, False])),
                layers.SimpleRNNCell(3, activation=pick(["tanh", "gelu"])),
            ]
        ),
        dims=lambda pick, config: dict(e=3),
        errors=[dict(cells=[layers.Dense(2)])],
    ),
    Card(
        layer=layers.RNN,
        inputs="b t d",
        configs=lambda pick: dict(
            cell=pick(
                [
                    lambda: layers.SimpleRNNCell(3),
                    lambda: layers.LSTMCell(3),
                    lambda: [layers.GRUCell(3), layers.GRUCell(2)],
                ]
            )(),
            **_common(pick),
            unroll=pick([False, True]),
            zero_output_for_mask=pick([False, True]),
        ),
        dims=lambda pick, config: dict(t=pick([4, 3])),
        traits=Traits(**TRAITS),
        errors=[dict(cell=layers.Dense(2))],
    ),
    Card(
        layer=layers.Bidirectional,
        inputs="b t d",
        configs=lambda pick: dict(
            layer=layers.GRU(3, return_sequences=(steps := pick([True, False]))),
            merge_mode=pick(["concat", "sum", "mul", "ave", None]),
            backward_layer=(
                layers.GRU(3, return_sequences=steps, go_backwards=True, activation="gelu")
                if pick([False, True])
                else None
            ),
        ),
        dims=lambda pick, config: dict(t=pick([4, 3])),
        traits=Traits(
            masking=lambda config: "propagates" if config["layer"].return_sequences else "consumes",
            dynamic="b t",
        ),
        errors=[dict(layer=layers.GRU(2), merge_mode="first"), dict(layer=layers.Dense(2))],
    ),
    Card(
        layer=layers.TimeDistributed,
        inputs="b t s d",
        configs=lambda pick: dict(
            layer=pick(
                [
                    lambda: layers.Dense(3),
                    lambda: layers.LayerNormalization(),
                    lambda: layers.Conv1D(2, 2),
                ]
            )()
        ),
        traits=Traits(dynamic="b", causal=True, reach=(0, 0)),
        errors=[dict(layer="dense")],
    ),
    *(_convolutional(rank) for rank in (1, 2, 3)),
]
