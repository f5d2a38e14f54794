"""The trainable network is the approximate network: same integers before, during and after training."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from axdnn import approximate
from axdnn.layers import Recipe
from axdnn.layers.integer import IntegerLayer
from axdnn.records import InvalidInputError, UnsupportedOperatorError
from axdnn.retraining import recalibrate, trainable

RECIPES = {
    "default": Recipe(),
    "nearest": Recipe(weight_codes="nearest", align=False, compensate=False),
    "unsigned": Recipe(unsigned_coding="unsigned"),
}


def steps(trained, images, target, count=4, rate=5e-3):
    optimizer = torch.optim.Adam(trained.parameters(), rate)
    for _ in range(count):
        optimizer.zero_grad()
        (trained(images) - target).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("name", ["mul8s_1L2N", "mul8u_QKX"])
@pytest.mark.parametrize(("number", "recipe"), list(enumerate(RECIPES.values())), ids=RECIPES.keys())
@pytest.mark.parametrize("net_name", ["plain", "branched"])
def test_the_finished_network_has_the_same_outputs_to_the_bit(nets, net_name, number, recipe, name):
    net, images = getattr(nets, net_name)
    model = approximate(net, name, images, recipe=recipe)
    gradient = ("straight_through", "table_slope")[(number + (net_name == "plain") + (name == "mul8u_QKX")) % 2]
    trained = trainable(model, net, images, recipe=recipe, gradient=gradient, weight_scales=True)
    assert torch.equal(trained(images), model(images)), "training starts from the approximate network"
    before = {n: p.detach().clone() for n, p in trained.named_parameters()}
    steps(trained, images, net(images).detach())
    assert all(not torch.equal(p, before[n]) for n, p in trained.named_parameters()), "everything is trained"
    finished = trained.finish()
    with torch.no_grad():
        assert torch.equal(finished(images), trained(images))
        assert torch.equal(finished(images), trained.eval()(images))
    assert not torch.equal(finished(images), model(images))
    finished.path = "reference"
    assert torch.equal(finished(images[:2]), trained(images[:2]))
    assert finished.assignment == model.assignment


def test_training_brings_the_outputs_nearer_to_the_float_network(nets):
    net, images = nets.plain
    target = net(images).detach()
    for gradient in ("straight_through", "table_slope"):
        model = approximate(net, "mul8s_1L12", images)
        trained = trainable(model, net, images, gradient=gradient)
        steps(trained, images, target, count=60, rate=3e-3)
        error = [float((m(images) - target).square().mean()) for m in (model, trained.finish())]
        assert error[1] < 0.9 * error[0], (gradient, error)


def test_frozen_scales_stay_and_the_state_goes_into_another_copy(nets):
    net, images = nets.branched
    model = approximate(net, "mul8u_QKX", images)
    trained = trainable(model, net, images, ranges=False)
    other = copy.deepcopy(trained)
    steps(trained, images, net(images).detach())
    finished = trained.finish()
    for name in model.layer_names:
        assert finished.layer(name).coding.encoding == model.layer(name).coding.encoding
        assert torch.equal(finished.layer(name).coding.w_scale, model.layer(name).coding.w_scale)
    assert finished.operator_encodings == model.operator_encodings
    other.load_state_dict(trained.state_dict())
    assert torch.equal(other(images), finished(images))


def test_codes_are_the_same_under_autocast(nets, monkeypatch):
    net, images = nets.branched
    trained = trainable(approximate(net, "mul8u_QKX", images), net, images)
    found: list[torch.Tensor] = []
    sums = IntegerLayer.open_sums
    monkeypatch.setattr(IntegerLayer, "open_sums", lambda self, c, path: found.append(c) or sums(self, c, path))

    def run():
        found.clear()
        trained.zero_grad()
        out = trained(images)
        out.square().mean().backward()
        return out, [*found], [p.grad.clone() for p in trained.parameters()]

    plain, codes, grads = run()
    with torch.autocast("cpu", torch.bfloat16):
        mixed, mixed_codes, mixed_grads = run()
    assert torch.equal(plain, mixed)
    assert plain.dtype == torch.float32
    assert len(codes) == len(trained.layer_names)
    assert all(torch.equal(a, b) for a, b in zip(codes, mixed_codes, strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(grads, mixed_grads, strict=True)), "gradients use bfloat16"
    for a, b in zip(grads, mixed_grads, strict=True):
        if a.numel() > 1:  # a single number may be a sum that cancels
            assert torch.allclose(a, b, rtol=0.1, atol=0.05 * float(a.abs().max()))
    whole, mixed_whole = (torch.cat([g.flatten().double() for g in every]) for every in (grads, mixed_grads))
    assert (whole - mixed_whole).norm() < 0.05 * whole.norm()


def test_saved_tensors_are_mostly_bytes(nets):
    """A layer keeps one byte a code and four a sum: less than the eight of input and output in float."""
    net, images = nets.plain
    trained = trainable(approximate(net, "mul8u_QKX", images), net, images)
    kept: dict[int, int] = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        layer = trained.layer("conv1")
        codes = torch.randint(0, 255, (16, 1, 14, 12)).float().requires_grad_()
        assert layer((codes,), layer.ready(), "auto").requires_grad
    assert sum(kept.values()) < codes.numel() * 1.5 + 40 * layer.weight.numel() + 2000


def test_recalibration_by_moments_gives_every_channel_the_mean_and_deviation_of_its_batch_norm(nets):
    net, images = nets.branched
    model = approximate(net, "mul8u_17MJ", images, recipe=Recipe(compensate=False))
    recalibrate(model, net, images, "moments")
    wanted, got = {}, {}
    hooks = [m.register_forward_hook(lambda m, _, y, n=n: wanted.update({n: y})) for n, m in net.named_modules()]
    net(images)
    for hook in hooks:
        hook.remove()
    model.run(images, lambda layer, codes: got.update({layer.node.name: layer.real(layer.sums(*codes))}))
    for name, float_name in {"stem": "bn", "deep": "deep", "side": "side"}.items():
        for statistic in (torch.mean, torch.std):
            a, b = statistic(got[name], (0, 2, 3)), statistic(wanted[float_name].detach(), (0, 2, 3))
            alive = got[name].std((0, 2, 3)) > 0
            assert alive.sum() >= len(alive) - 1
            assert torch.allclose(a[alive], b[alive], rtol=1e-3, atol=1e-3), (name, statistic)


def test_regression_is_what_approximate_does_itself(nets):
    net, images = nets.plain
    once = approximate(net, "mul8u_QKX", images)
    again = approximate(net, "mul8u_QKX", images, recipe=Recipe(compensate=False))
    for name in once.layer_names:  # the same codes, so that only gains and offsets can differ
        again.layer(name).coding, again.layer(name).w_codes = once.layer(name).coding, once.layer(name).w_codes
        again.layer(name).shift = once.layer(name).shift
    again._wanted = once._wanted
    recalibrate(again, net, images)
    assert torch.equal(again(images), once(images))
    with pytest.raises(InvalidInputError, match="moments"):
        recalibrate(once, net, images, "nothing")


def test_what_cannot_be_trained_is_refused_by_name(nets):
    net, images = nets.plain
    model = approximate(net, "mul8u_QKX", images)
    other = copy.deepcopy(net)
    other.fc2 = nn.Linear(12, 7)
    with pytest.raises(InvalidInputError, match=r"'fc2' must have weights of shape \(5, 12\), but got \(7, 12\)"):
        trainable(model, other, images)
    for wrong in ({"gradient": "exact"}, {"width": 0}, {"tolerance": 1.0}):
        with pytest.raises(InvalidInputError, match=next(iter(wrong))):
            trainable(model, net, images, **wrong)
    skipping = approximate(net, "mul8u_QKX", images)
    skipping.layer("conv2").skipped = torch.tensor([1])
    with pytest.raises(InvalidInputError, match=r"'conv2' .* skipped channels"):
        trainable(skipping, net, images)
    trained = trainable(model, net, images)
    with pytest.raises(InvalidInputError, match="shape"):
        trained(images[:, :, 1:])


def test_an_unknown_operator_is_named(nets):
    from axdnn.quant import Node, capture
    from axdnn.retraining.requests import requests

    net, images = nets.plain
    captured = capture(net, images)
    nodes = [*list(captured.nodes.values())[:-1], Node("odd", "softsort", ("fc2",)), Node("output", "output", ("odd",))]
    with pytest.raises(UnsupportedOperatorError, match=r"'odd' \(softsort\)"):
        requests(captured.rebuilt(nodes, {}))
    assert isinstance(net, nn.Module)
