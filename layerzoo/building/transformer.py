"""What the Transformer blocks share: their arguments, and the parts that they make or are given."""

from layerzoo.building.arguments import (
    another,
    boolean,
    initializer,
    known_activation,
    optional_layer,
    optional_positive_int,
    optional_seed,
    positive_int,
    positive_number,
    probability,
)
from layerzoo.building.heads import head_width
from layerzoo.building.seeds import seed_of_part
from layerzoo.building.sublayers import build_function, dense, dropping
from layerzoo.building.wrapped import may_keep_shape, must_keep_shape
from layerzoo.ops.activations import exportable


def keep_parts(block, num_heads, hidden_dim, attention, mlp) -> None:
    """Keep the sizes of the parts, or the layers that take their place, as attributes of a block.

    A size may be None if its part is given.
    """
    block.attention = optional_layer(attention=attention)
    block.mlp = optional_layer(mlp=mlp)
    heads, hidden = (
        positive_int if given is None else optional_positive_int for given in (attention, mlp)
    )
    block.num_heads = heads(num_heads=num_heads)
    block.hidden_dim = hidden(hidden_dim=hidden_dim)
    if mlp is not None and hidden_dim is not None:
        raise ValueError(
            "`hidden_dim` must be None if `mlp` is given, which has a width of its own. "
            f"Received: hidden_dim={hidden_dim!r}, mlp={mlp}"
        )


def keep_settings(
    block, norm_first, activation, dropout, drop_path, epsilon, use_bias, kernel_initializer, seed
) -> None:
    """Check the settings of a block, and keep each as an attribute of its name."""
    block.norm_first = boolean(norm_first=norm_first)
    block.activation = known_activation(activation=activation)
    block.dropout = probability(dropout=dropout)
    block.drop_path = probability(drop_path=drop_path)
    block.epsilon = positive_number(epsilon=epsilon)
    block.use_bias = boolean(use_bias=use_bias)
    block.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
    block.seed = optional_seed(seed=seed)


def attention_of(block, kind, input_shape, name, part, **config):
    """An attention layer with the heads, the dropout, the biases and the initializer of a block.

    Args:
        block: the block.
        kind: the class of the layer.
        input_shape: shape of the inputs, whose width the heads must divide.
        name: name of the layer.
        part: the number of this part among those that draw.
        **config: further arguments of the layer.
    """
    head_width(positive_int(num_heads=block.num_heads), None, input_shape)
    return kind(
        block.num_heads,
        dropout=block.dropout,
        use_bias=block.use_bias,
        kernel_initializer=another(block.kernel_initializer),
        seed=seed_of_part(block.seed, part),
        dtype=block.dtype_policy,
        name=name,
        **config,
    )


def parts_may_fit(block, input_shape) -> None:
    """Raise a `ValueError` if a part that was given tells, before it is built, that it changes the shape."""
    for name in ("attention", "mlp"):
        if getattr(block, name) is not None:
            may_keep_shape([getattr(block, name)], input_shape, name)


def attention_branch(block, kind, input_shape, **config) -> list:
    """The self-attention, which was given or is made as `attention_of` does, and its dropout."""
    attention = block.attention
    if attention is None:
        attention = attention_of(block, kind, input_shape, "attention", 0, **config)
    must_keep_shape(block, [attention], input_shape, "attention")
    return [attention, dropping(block, 1)]


def mlp_branch(block, input_shape) -> list:
    """The MLP, which was given or is `Dense`, `Dropout`, `Dense`, and its dropout."""
    mlp = [block.mlp]
    if block.mlp is None:
        hidden_shape = (*input_shape[:-1], block.hidden_dim)
        build_function(block.activation, hidden_shape)
        activation = exportable(block.activation)
        expand = dense(block, block.hidden_dim, input_shape, "expand", activation=activation)
        contract = dense(block, input_shape[-1], hidden_shape, "contract")
        mlp = [expand, dropping(block, 2), contract]
    must_keep_shape(block, mlp, input_shape, "mlp")
    return [*mlp, dropping(block, 3)]


def shortcut(block, part) -> dict:
    """The arguments of a `Residual` around a branch of a block: where its norm is, and how it drops.

    Args:
        block: the block.
        part: the number of this part among those that draw.
    """
    return dict(
        norm="pre" if block.norm_first else "post",
        drop_path=block.drop_path,
        epsilon=block.epsilon,
        seed=seed_of_part(block.seed, part),
        data_format="channels_last",
    )


def fitting_context(context, cross, initial_state=None) -> None:
    """Raise a `ValueError` unless there is a context where a block was built with cross-attention.

    Args:
        context: the context of a call, or None.
        cross: the cross-attention of the block, or None if the first call had no context.
        initial_state: the state of a call, which keeps the context of an earlier one.
    """
    if (context is None) != (cross is None) and not (cross and initial_state):
        first = "had none" if cross is None else "had one"
        raise ValueError(
            f"`context` must be passed in every call or in none, and the first call {first}. "
            f"Received: context={context}"
        )
