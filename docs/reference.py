"""Writes the pages of the API reference while the site is built: one a package, from docstrings."""

from pathlib import Path

import mkdocs_gen_files

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "models": "The network: pure functions of parameters and arrays.",
    "inference": "From frames to masks: crops, state between frames, online learning.",
    "io": "Videos, masks and overlays as files.",
    "checkpoints": "Reading, writing, converting and packing parameters.",
    "training": "Configs, the training step, and what surrounds it.",
    "evaluation": "The measures and protocols of DAVIS, baselines and reports.",
}


def modules(package: Path) -> list[str]:
    """Dotted names of the modules of a package, at any depth."""
    files = sorted(path for path in package.rglob("*.py") if path.name != "__init__.py")
    return [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]


def write(name: str, summary: str, members: list[str]) -> None:
    """One page: a heading, a sentence, and the docstrings of modules."""
    with mkdocs_gen_files.open(f"reference/{name}.md", "w") as page:
        page.write(f"# {name}\n\n{summary}\n")
        page.writelines(f"\n::: {member}\n" for member in members)


write(
    "ranet_jax",
    "Most programs need [`load`][ranet_jax.checkpoints.checkpoint.load] and "
    "[`Segmenter`][ranet_jax.inference.segmenter.Segmenter] alone.",
    ["ranet_jax", "ranet_jax.errors", "ranet_jax.array_typing", "ranet_jax.extras"],
)
for name, summary in PACKAGES.items():
    write(name, summary, modules(ROOT / "ranet_jax" / name))
write(
    "data_pipelines",
    "Training data: published sets, folders, examples and batches.",
    modules(ROOT / "data_pipelines"),
)
with mkdocs_gen_files.open("reference/index.md", "w") as page:
    page.write("# API reference\n\nFrom the docstrings of every module.\n\n")
    names = ["ranet_jax", *PACKAGES, "data_pipelines"]
    page.writelines(f"- [{name}]({name}.md)\n" for name in names)
