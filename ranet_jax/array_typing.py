"""Every shape in the system has one name here.

Dimension letters, the same everywhere:

    b     batch: videos, or training examples
    t     frames of one video; of a template, the first frame and the memory slots
    n     object slots (1, 2, 4, 8 or 16); unused slots hold an empty mask
    l     labels of a multi-object video: the background, then the n slots (l = n + 1)
    H W   pixels of the network input (480 x 864 unless a user asks for another size)
    h w   positions of the stride-16 grid of the current frame (30 x 54 at the default size)
    k     template cells, row-major over the 15 x 27 template grid (k = 405)
    m     cells of all templates, t * k: the candidates of a stream
    r     slots of a ranked selection (256)
    c     channels
"""

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree, UInt8

Size = tuple[int, int]  # height and width, pixels

# Pixels and masks at the network's size.
Frame = Float[Array, "b H W 3"]  # RGB in [0, 1]
ObjectMasks = Float[
    Array, "b n H W"
]  # fraction of each pixel that belongs to the object, in [0, 1]
Logits = Float[Array, "b n H W"]
Probabilities = Float[Array, "b n H W"]
Boxes = Int[Array, "b 4"]  # y0, x0, y1, x1; the ends are exclusive
Valid = Bool[Array, "b n"]  # which slots hold an object

# Images and maps of whatever size.
Image = Float[Array, "*b h w c"]
FeatureMap = Float[Array, "b h w c"]

# Matching.
Features = Float[Array, "b h w c"]  # l2-normalized over c
Template = Float[Array, "b t k c"]  # pooled to the template grid, not normalized again
TemplateMasks = Float[Array, "b n t k"]  # area fraction of each object in each template cell
SimilarityMaps = Float[Array, "b h w m"]
RankedMaps = Float[Array, "b n h w r"]
Weights = Float[
    Array, "b s m"
]  # s: the streams of a matching path (foreground and background, or labels)
Scores = Float[Array, "b s m"]

# What users hand over and get back, on the host.
HostFrame = UInt8[np.ndarray, "height width 3"]
HostMask = Int[np.ndarray, "height width"]

Params = PyTree[jax.Array]
