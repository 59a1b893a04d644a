"""What every layer does beside its own code: with the layers inside it, and before it is built."""

import functools

import keras


def recipe(cls):
    """Decorate a layer class, under `register_keras_serializable`.

    - `call` and `get_initial_state` are refused until the layer is built.
    - The layers inside follow their owner's `trainable`, also those that `build` makes after it was set.
    - A file keeps what was done to each layer inside after it was made: quantised, adapted (LoRA), frozen.
      `Dense` keeps it in its config, but what `build` makes is in no config, so the build config has it.
    """
    build, call = cls.build, cls.call
    get_build_config, build_from_config = cls.get_build_config, cls.build_from_config

    @functools.wraps(build)
    def build_and_freeze(self, *args, **kwargs):
        build(self, *args, **kwargs)
        if not self.trainable:
            for part in _parts(self):
                part.trainable = False

    @functools.wraps(get_build_config)
    def get_build_config_of_all(self):
        config = get_build_config(self)
        states = [_state(part) for part in _parts(self)]
        if all(state == {"trainable": self.trainable} for state in states):
            return config
        return {**config, "parts": states} if config else config

    @functools.wraps(build_from_config)
    def build_all_from_config(self, config):
        build_from_config(self, config)
        if config and "parts" in config:
            _restore(self, config["parts"])

    cls.build, cls.call = build_and_freeze, _if_built(call)
    if hasattr(cls, "get_initial_state"):
        cls.get_initial_state = _if_built(cls.get_initial_state)
    cls.get_build_config, cls.build_from_config = get_build_config_of_all, build_all_from_config
    return cls


def _if_built(method):
    """A method that is refused until the layer is built."""

    @functools.wraps(method)
    def refusing(self, *args, **kwargs):
        if not self.built:
            raise ValueError(
                f"A layer must be built before `{method.__name__}`. Call the layer itself, which builds it. "
                f"Received: layer={self.name}, built=False"
            )
        return method(self, *args, **kwargs)

    return refusing


def _parts(layer):
    """Every layer inside a layer, at any depth, each after its owner."""
    return layer._flatten_layers(include_self=False)


def _state(part):
    """What can be done to a layer after it is made, as JSON can write it."""
    state = {"trainable": part.trainable}
    if part.quantization_mode:
        config = getattr(part, "quantization_config", None)
        state["quantized"] = part.quantization_mode
        state["quantization"] = keras.saving.serialize_keras_object(config)
    if getattr(part, "lora_enabled", False):
        state["lora"] = [part.lora_rank, part.lora_alpha]
    return state


def _restore(layer, states):
    """Do to the layers inside what was done before they were saved."""
    parts = _parts(layer)
    if len(parts) != len(states):
        raise ValueError(
            "A saved layer must have the layers inside that it had when it was saved. "
            f"Received: {len(states)} saved, {len(parts)} in {layer.name}"
        )
    for part, state in zip(parts, states, strict=True):
        if part.trainable != state["trainable"]:
            part.trainable = state["trainable"]
        if "quantized" in state and not part.quantization_mode:
            config = keras.saving.deserialize_keras_object(state["quantization"])
            part.quantize(state["quantized"], type_check=False, config=config)
        if "lora" in state:
            rank, alpha = state["lora"]
            if not part.lora_enabled:
                part.enable_lora(rank)
            part.lora_alpha = alpha  # which Keras does not read from the config
            _start_adapters_anew(part)
    if (
        keras.backend.backend() == "torch"
    ):  # lists the parameters of each layer, and must list the new ones
        for each in (layer, *parts):
            each._track_variables()


def _start_adapters_anew(part):
    """Let the adapters of a layer train on from a file.

    Keras adds them to the kernel, and then reads both factors as zeros, which no gradient moves.
    """
    load, start = part.load_own_variables, keras.ops.convert_to_numpy(part.lora_kernel_a)

    def load_and_start(store):
        load(store)
        part.lora_kernel_a.assign(start)

    part.load_own_variables = load_and_start
