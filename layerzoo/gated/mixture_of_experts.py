import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import (
    InitializerLike,
    another,
    boolean,
    initializer,
    known_activation,
    known_width,
    non_negative_int,
    positive_int,
)
from layerzoo.building.experts import (
    add_experts,
    add_router,
    keep_balance,
    keep_router,
    routing_spec,
)
from layerzoo.building.recipe import recipe
from layerzoo.building.sublayers import build_function, serialized
from layerzoo.gated.gated_mlp import GatedMLP
from layerzoo.ops.dtypes import floating
from layerzoo.ops.experts import (
    chosen,
    flat_tokens,
    gated_in_blocks,
    mixed,
    planned,
    router_scores,
    routes,
    shares,
    zero_unless,
)
from layerzoo.ops.masks import fitting_mask


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class MixtureOfExperts(layers.Layer):
    r"""Sparse mixture of experts (MoE): a router sends each token to a few of many gated MLPs.

    $$
    y = F_{\text{shared}}(x) + \sum_{e \in K(x)} \frac{s_e}{\sum_{j \in K(x)} s_j}\, F_e(x), \qquad
    s = \sigma(W_{\text{router}}\, x), \qquad K(x) = \operatorname*{top-k}_e\; (s_e + b_e)
    $$

    Each expert $F_e$ is a `GatedMLP` of width `hidden_dim`. $\sigma$ is the softmax over the experts, or the
    sigmoid of each, by `router`. $b$ is a balancing bias: it takes part in the choice only, no gradient
    reaches it, and each training step raises it for the experts with too few tokens and lowers it for the
    others. With the softmax it is zero, and a loss keeps the balance: $e \sum_e f_e\, p_e$ with $f_e$ the
    share of the tokens that chose the expert $e$ and $p_e$ its mean share of the scores.

    Use when:
        - a Transformer should have more weights at the same arithmetic for each token: this layer takes the
          place of its `GatedMLP`.

    Avoid when:
        - memory is scarce: all experts are kept, though each token uses `top_k` of them.
        - there are few tokens for each expert: a `GatedMLP` learns more from them.

    Args:
        num_experts: Positive integer. Number of experts.
        hidden_dim: Positive integer. Width of the gate and up projections of each expert.
        top_k: Positive integer, at most `num_experts`. Number of experts for each token. Defaults to 2.
        num_shared_experts: Integer of at least 0. Number of experts that every token goes to, as a single
            `GatedMLP` with so many times `hidden_dim`. Defaults to 0.
        router: `"softmax"` or `"sigmoid"`. How scores are computed: the experts compete, or each has a score
            of its own and a balancing bias. Defaults to `"softmax"`.
        capacity_factor: Positive float. An expert takes at most this many times the number of tokens that it
            gets if all experts get as many, rounded up. Defaults to None: no token is dropped.
        aux_loss_weight: Float of at least 0. Factor of the balance loss. Defaults to 0.01 with
            `router="softmax"` and to 0 with `"sigmoid"`. If it is 0, there is no such loss.
        bias_update_rate: Float of at least 0. How much a training step moves the balancing bias of each
            expert. Defaults to 0.001.
        activation: Name, function or layer. Activation of the gates. Defaults to `"silu"`.
        use_bias: Boolean. Whether the projections of the experts have a bias. The router has none. Defaults
            to True.
        kernel_initializer: Initializer for all kernels. Each expert is drawn on its own. Defaults to
            `"glorot_uniform"`.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: Tokens, with features on the last axis.
        mask: Boolean tensor for the first axes of the inputs, false at padding. Defaults to the mask that the
            inputs carry, if any.
        training: Boolean. Whether to update the balancing bias.
        return_routing: Boolean. Whether to return `(outputs, experts, weights)` instead of `outputs`.

    Input shape:
        `(batch, ..., width)`. All sizes except `width` may be unknown.

    Output shape:
        Same as the inputs. `experts` and `weights` have shape `(batch, ..., top_k)`: the indices of the
        experts of each token, the best one first, and their factors. Where a token is not computed, the index
        is -1 and the factor 0.

    Masking:
        The mask is passed on. Padding goes to no expert, counts in no balance and takes no capacity, even if
        it holds NaN. Outputs at padded steps are zero.

    Raises:
        ValueError: if an argument is not as stated, `top_k` is greater than `num_experts`, or the width is
            unknown.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.

    Example:
        ```python
        import keras
        from layerzoo import MixtureOfExperts

        layer = MixtureOfExperts(8, 32)
        outputs, experts, weights = layer(keras.random.normal((4, 10, 16)), return_routing=True)
        print(outputs.shape, experts.shape)
        #> (4, 10, 16) (4, 10, 2)
        ```

    Reference:
        [Sparsely-Gated Mixture-of-Experts](https://arxiv.org/abs/1701.06538). Router, experts and balance
        loss are those of [Mixtral](https://arxiv.org/abs/2401.04088), without noise. The sigmoid, its bias
        and the shared experts are those of [DeepSeek-V3](https://arxiv.org/abs/2412.19437), without groups of
        experts; its `routed_scaling_factor` can be multiplied into the down kernels and biases. Of equal
        scores, the expert with the lower index is chosen. If `top_k` is 1, the weight is the score itself, as
        in [Switch Transformer](https://arxiv.org/abs/2101.03961). With `capacity_factor`, first choices come
        before second ones, and earlier tokens of the batch before later ones. Where an expert has no room
        left, the token passes it by, and the weights of its other experts stay. The router computes in
        float32 or better. The kernels of all experts are stacked in two weights, the gate before the up
        projection. Keras neither quantises these two and the router, nor adapts them by LoRA; it does both
        to the shared experts.
    """

    def __init__(
        self,
        num_experts: int,
        hidden_dim: int,
        top_k: int = 2,
        num_shared_experts: int = 0,
        router: str = "softmax",
        capacity_factor: float | None = None,
        aux_loss_weight: float | None = None,
        bias_update_rate: float = 0.001,
        activation="silu",
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        limits = (capacity_factor, aux_loss_weight, bias_update_rate)
        keep_router(self, num_experts, top_k, router, *limits)
        self.hidden_dim = positive_int(hidden_dim=hidden_dim)
        self.num_shared_experts = non_negative_int(num_shared_experts=num_shared_experts)
        self.activation = known_activation(activation=activation)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(min_ndim=2)

    def build(self, input_shape):
        width = known_width(input_shape)
        build_function(self.activation, (None, self.hidden_dim))
        add_router(self, width)
        add_experts(self, width)
        if self.num_shared_experts:
            self.shared = GatedMLP(
                self.num_shared_experts * self.hidden_dim,
                activation=self.activation,
                use_bias=self.use_bias,
                kernel_initializer=another(self.kernel_initializer),
                dtype=self.dtype_policy,
                name="shared",
            )
            self.shared.build((None, width))
        self.input_spec = layers.InputSpec(min_ndim=2, axes={-1: width})

    def call(self, inputs, mask=None, training=None, return_routing=False):
        mask = fitting_mask(mask, inputs.shape[:-1])
        x, valid = flat_tokens(floating(inputs, self.compute_dtype), mask)  # (n, d), (n,)
        scores, preferred = router_scores(x, self.route, self.balance)  # (n, e)
        experts = chosen(preferred, self.top_k)  # (n, k)
        weights = shares(scores, experts)
        plan = planned(experts, self.num_experts, valid, self.capacity_factor)
        y = ops.cast(mixed(x, weights, plan, self._experts), self.compute_dtype)
        if self.num_shared_experts:
            y = y + self.shared(x)
        keep_balance(self, scores, plan.load, valid, training)
        outputs = ops.reshape(zero_unless(valid, y), ops.shape(inputs))
        if not return_routing:
            return outputs
        return outputs, *routes(plan, experts, ops.cast(weights, self.compute_dtype), inputs)

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_output_spec(self, inputs, mask=None, training=None, return_routing=False):
        fitting_mask(mask, inputs.shape[:-1])
        return routing_spec(self, inputs, return_routing)

    def get_config(self):
        config = super().get_config()
        config.update(
            num_experts=self.num_experts,
            hidden_dim=self.hidden_dim,
            top_k=self.top_k,
            num_shared_experts=self.num_shared_experts,
            router=self.router,
            capacity_factor=self.capacity_factor,
            aux_loss_weight=self.aux_loss_weight,
            bias_update_rate=self.bias_update_rate,
            activation=serialized(self.activation),
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
        )
        return config

    def _experts(self, x, owner):
        kernels = (self.gate_up, self.gate_up_bias, self.down, self.down_bias)
        return gated_in_blocks(x, owner, kernels, self.activation)
