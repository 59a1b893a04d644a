"""How the weights of the layers are spread over several devices."""

import keras

COLUMNS = ("query_key_value", "query", "key_value", "gate", "up", "hidden", r"expansion_\d+")
"""Projections into heads or hidden features. Each device computes some of them."""

ROWS = ("output", "down", "score", r"contraction_\d+")
"""Projections out of heads or hidden features. Each device reads its part, and the results are summed."""


def layout_map(mesh, axis="model") -> keras.distribution.LayoutMap:
    """The layout of every layer's weights for tensor parallelism, as Megatron-LM has it.

    A device holds some of the heads of an attention layer, or some of the hidden features of an MLP: columns
    of the kernels and biases for queries, keys, values, gate and up, and rows of the kernels for output and
    down. A forward pass then needs one all-reduce for each attention layer or MLP. All other weights, such as
    norms, tables and latents, are replicated.

    Weights are found by the names of the layers that hold them. A layer of your own with such a name, inside
    another layer or model, is laid out in the same way. An entry with its exact path goes before:
    `layout["my_model/output/kernel"] = (None, None)`.

    Args:
        mesh: `keras.distribution.DeviceMesh`. The size of its axis `axis` must divide every width that is
            cut. If it also divides the number of key/value heads, no head is cut, and queries, keys and
            values stay where they are computed.
        axis: Name of the mesh axis to which heads and hidden features are spread. Defaults to `"model"`.

    Returns:
        A `keras.distribution.LayoutMap`, to which you can add entries for other layers.

    Raises:
        TypeError: if `mesh` is not a `keras.distribution.DeviceMesh`.
        ValueError: if `mesh` has no such axis.
    """
    if not isinstance(mesh, keras.distribution.DeviceMesh):
        raise TypeError(
            f"`mesh` must be a `keras.distribution.DeviceMesh`. Received: mesh={mesh!r}"
        )
    if axis not in mesh.axis_names:
        raise ValueError(
            f"`axis` must be one of the names of the mesh's axes. Received: axis={axis!r}, "
            f"mesh.axis_names={list(mesh.axis_names)}"
        )
    layout = keras.distribution.LayoutMap(mesh)
    for name in COLUMNS:
        layout[f".*/{name}/kernel"] = (None, axis)
        layout[f".*/{name}/bias"] = (axis,)
    for name in ROWS:
        layout[f".*/{name}/kernel"] = (axis, None)
    return layout
