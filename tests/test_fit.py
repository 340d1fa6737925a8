"""Gradient descent finds a known minimum, and resuming changes nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jclip.adapt.fit import adamw, fit

TRUTH = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)


def batch(step: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(step).normal(size=(16, 2)).astype(np.float32)
    return x, x @ TRUTH


def loss(params, stats, batch, key):
    x, y = batch
    noise = 0.01 * jax.random.normal(key, x.shape)
    error = (x + noise) @ params["kernel"] - y
    return (error**2).mean(), {"seen": stats["seen"] + len(x)}


def run(steps: int, **options):
    start = {"kernel": jnp.zeros((2, 2))}
    stats = {"seen": jnp.zeros((), jnp.int32)}
    return fit(loss, start, stats, optax.adam(0.05), batch, steps, **options)


def test_a_linear_map_is_found_and_statistics_are_carried():
    losses = []
    params, stats = run(
        400, every=100, report=lambda step, mean, speed: losses.append((step, mean))
    )
    np.testing.assert_allclose(params["kernel"], TRUTH, atol=0.02)
    assert stats["seen"] == 400 * 16
    assert [step for step, _ in losses] == [100, 200, 300, 400]
    assert losses[-1][1] < 0.01 * losses[0][1]


@pytest.mark.parametrize("stop", [20, 25])
def test_a_run_that_goes_on_ends_with_the_same_bits(tmp_path, stop):
    whole, _ = run(40)

    class Stopped(Exception):
        pass

    def until(step: int):
        if step == stop:
            raise Stopped
        return batch(step)

    start = {"kernel": jnp.zeros((2, 2))}
    stats = {"seen": jnp.zeros((), jnp.int32)}
    with pytest.raises(Stopped):
        fit(loss, start, stats, optax.adam(0.05), until, 40, folder=tmp_path, every=10)
    seen = []
    rest, stats = fit(
        *(loss, start, stats, optax.adam(0.05)),
        lambda step: seen.append(step) or batch(step),
        40,
        folder=tmp_path,
        every=10,
    )
    assert seen[0] == 20
    np.testing.assert_array_equal(rest["kernel"], whole["kernel"])
    assert stats["seen"] == 640


def test_a_finished_run_takes_no_further_step(tmp_path):
    first, _ = run(20, folder=tmp_path, every=10)
    again, _ = fit(
        *(loss, {"kernel": jnp.zeros((2, 2))}, {"seen": jnp.zeros((), jnp.int32)}),
        *(optax.adam(0.05), lambda step: pytest.fail("a batch was asked for"), 20),
        folder=tmp_path,
        every=10,
    )
    np.testing.assert_array_equal(first["kernel"], again["kernel"])


def test_a_loss_that_is_not_finite_ends_the_run():
    with pytest.raises(FloatingPointError, match="before step 5 is nan"):
        fit(
            lambda params, stats, batch, key: (params["kernel"].sum() * jnp.nan, stats),
            *({"kernel": jnp.ones((2, 2))}, {}, optax.sgd(0.1), batch, 5),
        )


def test_weight_decay_acts_on_kernels_alone():
    params = {"a": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}}
    optimiser = adamw(0.1, 10, decay=0.5)
    state = optimiser.init(params)
    zeros = jax.tree.map(jnp.zeros_like, params)
    for _ in range(3):
        change, state = optimiser.update(zeros, state, params)
        params = optax.apply_updates(params, change)
    assert (params["a"]["kernel"] < 1).all() and (params["a"]["bias"] == 1).all()
