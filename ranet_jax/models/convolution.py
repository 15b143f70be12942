"""How a convolution of a map is computed on each platform."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental.layout import Layout, with_layout_constraint
from jaxtyping import Array, Float

from ranet_jax.array_typing import FeatureMap
from ranet_jax.models.platforms import by_platform

Kernel = Float[Array, "ky kx ci co"]
SIDE_BY_SIDE = 8  # samples that a TPU computes at once
LANES = 128  # numbers that a TPU computes at once of each sample
MANY_WEIGHTS = 1024  # in one tap of a kernel: enough for products of matrices to pay on a CPU


def precision_of(dtype: jnp.dtype) -> lax.Precision | None:
    """Highest precision of products in float32, where TPUs and GPUs would truncate factors."""
    return lax.Precision.HIGHEST if dtype == jnp.float32 else None


def convolve_map(
    x: FeatureMap, kernel: Kernel, stride: int = 1, dilation: int = 1, strips: int = 1
) -> FeatureMap:
    """[b, h, w, c] -> [b, h/stride, w/stride, c2]; padded with zeros, in the type of the map.

    In strips of rows (see `tiling`) for a stride of 1.
    """
    # Kept for the gradient, copied rows and columns would be most of a training step's memory.
    if strips > 1:
        sizes = {"dilation": dilation, "strips": strips}
        return jax.checkpoint(functools.partial(convolve_strips, **sizes))(x, kernel)
    sizes = {"stride": stride, "dilation": dilation}
    if len(x) >= SIDE_BY_SIDE:
        tpu = functools.partial(convolve_samples, **sizes)
    else:
        tpu = jax.checkpoint(functools.partial(convolve_columns, **sizes))
    if stride == 1 and kernel.shape[2] * kernel.shape[3] >= MANY_WEIGHTS:
        default = functools.partial(convolve_many, dilation=dilation)
    else:
        default = functools.partial(convolve_grid, **sizes)
    return by_platform(x, kernel, tpu=tpu, default=default)


def convolve_grid(
    x: FeatureMap, kernel: Kernel, stride: int, dilation: int, pad_rows: bool = True
) -> FeatureMap:
    """Convolution as the compilers of CPUs and GPUs know it best."""
    rows, columns = (dilation * (side // 2) for side in kernel.shape[:2])
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=[2 * (rows * pad_rows,), 2 * (columns,)],
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=precision_of(x.dtype),
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve_many(x: FeatureMap, kernel: Kernel, dilation: int) -> FeatureMap:
    """The same with many weights and a stride of 1; a CPU has a way of its own to their gradient.

    JAX computes that as one convolution with a kernel as large as the map, which XLA does at a
    tenth of a CPU's speed.
    """
    return convolve_grid(x, kernel, 1, dilation)


def _convolved(x: FeatureMap, kernel: Kernel, dilation: int) -> tuple[FeatureMap, tuple]:
    return convolve_grid(x, kernel, 1, dilation), (x, kernel)


def _gradients(
    dilation: int, inputs: tuple[FeatureMap, Kernel], gradient: FeatureMap
) -> tuple[FeatureMap, Kernel]:
    x, kernel = inputs
    of_map = jax.linear_transpose(lambda x: convolve_grid(x, kernel, 1, dilation), x)

    def derived(x: FeatureMap, gradient: FeatureMap) -> Kernel:
        of_kernel = jax.linear_transpose(lambda k: convolve_grid(x, k, 1, dilation), kernel)
        return of_kernel(gradient)[0]

    def products(x: FeatureMap, gradient: FeatureMap) -> Kernel:
        return kernel_gradient(x, gradient, kernel.shape[:2], dilation).astype(kernel.dtype)

    return *of_map(gradient), by_platform(x, gradient, cpu=products, default=derived)


convolve_many.defvjp(_convolved, _gradients)


def kernel_gradient(
    x: FeatureMap, gradient: FeatureMap, size: tuple[int, int], dilation: int
) -> Float[Array, "ky kx ci co"]:
    """The gradient of a kernel as products of matrices, one for each of its rows; float32.

    Args:
        x: what was convolved, [b, h, w, ci].
        gradient: of the loss by the result, [b, h, w, co].
        size: rows and columns of the kernel.
        dilation: from one tap of the kernel to the next.
    """
    if x.shape[3] < gradient.shape[3]:  # a shifted copy costs less of the smaller map
        mirrored = kernel_gradient(gradient, x, size, dilation)
        return jnp.flip(mirrored, (0, 1)).swapaxes(2, 3)
    height, width = x.shape[1:3]
    # The first position of the padded gradient that each row of the kernel reads, and each column.
    rows, columns = ([dilation * (side - 1 - tap) for tap in range(side)] for side in size)
    edges = [(dilation * (side // 2),) * 2 for side in size]
    gradient = jnp.pad(gradient, [(0, 0), *edges, (0, 0)])
    shifted_columns = [gradient[:, :, start : start + width] for start in columns]
    gradient = jnp.concatenate(shifted_columns, axis=3)
    of_rows = [
        jnp.tensordot(
            x,
            gradient[:, start : start + height],
            axes=([0, 1, 2], [0, 1, 2]),
            precision=precision_of(x.dtype),
            preferred_element_type=jnp.float32,
        )
        for start in rows
    ]
    return jnp.stack(of_rows).reshape(size[0], x.shape[3], size[1], -1).swapaxes(1, 2)


def convolve_samples(x: FeatureMap, kernel: Kernel, stride: int, dilation: int) -> FeatureMap:
    """The same for TPUs and a batch of samples that fills them."""
    return samples_together(convolve_grid(samples_together(x), kernel, stride, dilation))


def convolve_strips(x: FeatureMap, kernel: Kernel, dilation: int, strips: int) -> FeatureMap:
    """The same of maps in strips, each with those rows of its neighbours that the kernel reads."""
    x = samples_together(x)
    if rows := dilation * (kernel.shape[0] // 2):
        above = shifted(x[:, -rows:], -1, axis=0)
        below = shifted(x[:, :rows], 1, axis=0)
        if len(x) > strips:
            place = np.arange(len(x))[:, None, None, None] % strips
            above = jnp.where(place == 0, 0, above)
            below = jnp.where(place == strips - 1, 0, below)
        x = samples_together(jnp.concatenate([above, x, below], axis=1))
    return samples_together(convolve_grid(x, kernel, 1, dilation, pad_rows=False))


def samples_together(x: FeatureMap) -> FeatureMap:
    """The same map, in the layout in which a TPU computes convolutions of full batches.

    Its compiler keeps the samples of a position together in a convolution, and in what lies between
    two of them only where it is told to. Elsewhere it moves the map twice, and norms become passes
    of their own over it.
    """
    if len(x) < SIDE_BY_SIDE:
        return x
    return with_layout_constraint(x, Layout((1, 2, 0, 3)))  # rows, columns, samples, channels


def convolve_columns(x: FeatureMap, kernel: Kernel, stride: int, dilation: int) -> FeatureMap:
    """The same with every column of the map as a sample of a batch, for TPUs.

    They compute eight samples side by side. For a batch of fewer their compiler would cut maps into
    strips, pad and copy them around every convolution. What a kernel reads to the left and right of
    a column therefore becomes channels, and along the column it is a convolution in one dimension.
    Where that makes fewer channels, they are those of the output, which are then added up.
    """
    rows, columns, ins, outs = kernel.shape
    x = _lanes_filled(x)
    steps = [dilation * (n - columns // 2) for n in range(columns)]
    if columns > 1 and stride == 1 and 4 * outs <= ins:
        kernel = kernel.swapaxes(1, 2).reshape(rows, ins, columns * outs)
        parts = jnp.split(_along_columns(x, kernel, 1, dilation, jnp.float32), columns, axis=3)
        summands = [shifted(part, step, axis=2) for part, step in zip(parts, steps, strict=True)]
        return _lanes_filled(sum(summands).astype(x.dtype))
    x = jnp.concatenate([shifted(x, step, axis=2)[:, :, ::stride] for step in steps], axis=3)
    kernel = kernel.reshape(rows, columns * ins, outs)
    return _lanes_filled(_along_columns(x, kernel, stride, dilation, x.dtype))


def _lanes_filled(x: FeatureMap) -> FeatureMap:
    """With columns innermost where the channels are too few for the lanes of a TPU."""
    return with_layout_constraint(x, Layout((0, 1, 3, 2) if x.shape[3] < LANES else (0, 1, 2, 3)))


def _along_columns(
    x: FeatureMap, kernel: Float[Array, "ky ci co"], stride: int, dilation: int, dtype: jnp.dtype
) -> FeatureMap:
    reach = dilation * (len(kernel) // 2)
    return lax.conv_general_dilated(
        x,
        kernel[None],
        window_strides=(1, stride),
        padding=[(0, 0), (reach, reach)],
        rhs_dilation=(1, dilation),
        dimension_numbers=lax.ConvDimensionNumbers((2, 3, 0, 1), (3, 2, 0, 1), (2, 3, 0, 1)),
        precision=precision_of(x.dtype),
        preferred_element_type=dtype,
    )


def shifted(x: FeatureMap, step: int, axis: int, beyond: float = 0) -> FeatureMap:
    """Position i of the result holds i + step of the map, or what is `beyond` it."""
    edges = [(-step, step, 0) if i == axis else (0, 0, 0) for i in range(4)]
    return lax.pad(x, np.asarray(beyond, x.dtype), edges)
