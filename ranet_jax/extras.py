"""Optional packages: which extra of the installation brings what.

The core segments, evaluates, converts and packs. What only training, plots or the demo import is
left to extras, and each is imported where it is used.
"""

import importlib.util

from ranet_jax.errors import InputError

# By extra: modules that are not there without it.
MODULES = {
    "train": ("grain", "ml_collections", "requests", "simplejpeg", "tensorflow_datasets"),
    "plots": ("matplotlib",),
    "demo": ("skimage",),
    "web": ("python_multipart", "starlette", "uvicorn", "websockets"),
    "gcs": ("gcsfs",),
    "s3": ("s3fs",),
    "tpu": ("libtpu",),
    "export": ("flatbuffers",),
}


def require(extra: str, purpose: str) -> None:
    """Checks, without importing anything, that an extra is installed.

    Args:
        extra: a key of `MODULES`.
        purpose: what needs it, as the start of a sentence.

    Raises:
        InputError: a module of it is missing; names the command that installs it.
    """
    for module in MODULES[extra]:
        if not _installed(module):
            raise InputError(
                f"{purpose} needs {module}, which is not installed: run pip install "
                f"'ranet-jax[{extra}]'."
            )


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # ValueError: sys.modules holds something without a spec
        return False
