"""JAX as results depend on it, whatever a user's environment or script has made of its settings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import jax

from metahebb.errors import UsageError, raised

__all__ = ["jax_defaults", "start_jax", "without_jax_settings"]

_INHERITED = (
    "JAX_PLATFORMS",
    "JAX_CUDA_VISIBLE_DEVICES",
    "JAX_ROCM_VISIBLE_DEVICES",
    "JAX_COMPILATION_CACHE_DIR",
    "JAX_COMPILATION_CACHE_MAX_SIZE",
    "JAX_ENABLE_COMPILATION_CACHE",
    "JAX_LOGGING_LEVEL",
    "JAX_DEBUG_LOG_MODULES",
)
"""JAX's variables that say where it computes and what it tells, and not what comes of it."""


def start_jax() -> None:
    """Start JAX where it has not; raises UsageError where it does not start where JAX_PLATFORMS says."""
    try:
        jax.default_backend()
    except (RuntimeError, AssertionError) as e:
        given = jax.config.jax_platforms  # type: ignore[attr-defined]
        # It asserts that there is one.
        reason = raised(e) if str(e) else "there is no such device here"
        raise UsageError(f"JAX does not start with JAX_PLATFORMS={given!r}: {reason}; with cpu it would.") from e


@contextlib.contextmanager
def jax_defaults() -> Iterator[None]:
    """For this thread and this block, or function as a decorator, the settings that results depend on are JAX's own."""
    with (
        jax.enable_x64(False),
        jax.threefry_partitionable(True),
        jax.default_prng_impl("threefry2x32"),
        jax.default_matmul_precision(None),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        jax.debug_nans(False),
        jax.debug_infs(False),
        jax.disable_jit(False),
    ):
        yield


def without_jax_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without the variables by which a user changes what JAX computes."""
    return {name: value for name, value in environment.items() if not name.startswith("JAX_") or name in _INHERITED}
