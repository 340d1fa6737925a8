"""Gradient descent that goes on where an earlier run stopped, to the same end."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from etils import epath

from jclip.arrays import Array, Float, Leaf

# From parameters, running statistics, a batch and a key to a mean and new statistics.
Loss = Callable[[Any, Any, Any, jax.Array], tuple[Float[Array, ""], Any]]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class State:
    """What a run of `fit` goes on from.

    Attributes:
      params: what is fitted.
      stats: running statistics, which no gradient moves.
      moments: of the optimiser.
    """

    params: Leaf
    stats: Leaf
    moments: Leaf


def fit(
    loss: Loss,
    params: Any,
    stats: Any,
    optimiser: optax.GradientTransformation,
    batch: Callable[[int], Any],
    steps: int,
    *,
    seed: int = 0,
    folder: epath.PathLike | None = None,
    every: int = 500,
    report: Callable[[int, float, float], None] | None = None,
) -> tuple[Any, Any]:
    """The parameters and statistics after so many steps.

    A run that was stopped goes on from its last checkpoint and ends with the same
    numbers as one that was not, since batches and keys follow from the step alone.

    Args:
      loss: see `Loss`.
      params, stats: where to start.
      optimiser: of optax.
      batch: from a step to its batch.
      steps: how many in all.
      seed: of the keys that `loss` gets.
      folder: where checkpoints are kept; None for none. What lies there must be of a run
        with the same arguments.
      every: steps between checkpoints, and between calls of `report`.
      report: gets the step, the mean loss since the last call, and the steps a second.

    Raises:
      FloatingPointError: the loss is no finite number.
    """
    state = State(params, stats, optimiser.init(params))
    step = _step(loss, optimiser, jax.random.key(seed))
    with _Checkpoints(folder) as checkpoints:
        start, state = checkpoints.latest(state)
        total, clock = jnp.float32(0), time.monotonic()
        for number in range(start, steps):
            state, value = step(state, batch(number), number)
            total = total + value
            done = number + 1
            if done % every == 0 or done == steps:
                count = min(done - start, (done - 1) % every + 1)
                mean = float(total) / count
                _check(mean, done)
                checkpoints.save(done, state)
                if report is not None:
                    report(done, mean, count / (time.monotonic() - clock))
                total, clock = jnp.float32(0), time.monotonic()
    return state.params, state.stats


def adamw(rate: float, steps: int, *, decay: float = 0.05) -> Any:
    """AdamW with a linear warm-up and a cosine to zero, on clipped gradients.

    Weight decay acts on kernels alone. Loshchilov and Hutter, 2019,
    https://arxiv.org/abs/1711.05101
    """
    warm = max(1, min(100, steps // 10))
    schedule = optax.warmup_cosine_decay_schedule(0.0, rate, warm, max(steps, warm + 1))
    return optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(schedule, b2=0.99, weight_decay=decay, mask=_kernels),
    )


def _kernels(params: Any) -> Any:
    """Whether each leaf is the matrix of a linear map."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: path[-1].key == "kernel", params
    )


def _step(loss: Loss, optimiser: Any, key: jax.Array) -> Callable:
    gradient = jax.value_and_grad(loss, has_aux=True)

    @jax.jit
    def step(state: State, batch: Any, number: Array) -> tuple[State, Array]:
        of_step = jax.random.fold_in(key, number)
        (value, stats), slope = gradient(state.params, state.stats, batch, of_step)
        change, moments = optimiser.update(slope, state.moments, state.params)
        params = optax.apply_updates(state.params, change)
        return State(params, stats, moments), value

    return step


def _check(value: float, step: int) -> None:
    if not abs(value) < float("inf"):
        raise FloatingPointError(
            f"the mean loss before step {step} is {value}; a smaller learning rate may help"
        )


class _Checkpoints:
    """The states of a run on disk, the last two of them; or nothing without a folder."""

    def __init__(self, folder: epath.PathLike | None):
        self._manager = None
        if folder is not None:
            import orbax.checkpoint as ocp

            options = ocp.CheckpointManagerOptions(
                max_to_keep=2, enable_async_checkpointing=False
            )
            place = epath.Path(folder).resolve()
            self._manager = ocp.CheckpointManager(place, options=options)

    def __enter__(self) -> "_Checkpoints":
        return self

    def __exit__(self, *error: Any) -> None:
        if self._manager is not None:
            self._manager.close()

    def latest(self, state: State) -> tuple[int, State]:
        """How many steps are done, and the state after them."""
        if self._manager is None or (done := self._manager.latest_step()) is None:
            return 0, state
        import orbax.checkpoint as ocp

        shapes = jax.tree.map(ocp.utils.to_shape_dtype_struct, state)
        return done, self._manager.restore(done, args=ocp.args.StandardRestore(shapes))

    def save(self, done: int, state: State) -> None:
        if self._manager is None:
            return
        import orbax.checkpoint as ocp

        self._manager.save(done, args=ocp.args.StandardSave(state))
        self._manager.wait_until_finished()
