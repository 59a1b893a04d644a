"""The gradient from autodiff equals the numerical derivative, for each input and weight."""

from layerzoo.testing.shown import built, inputs

from .slopes import Probe, demand_slopes

probe = Probe(built(), inputs)
demand_slopes(probe, probe.gradients())
