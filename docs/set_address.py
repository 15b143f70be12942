"""Puts the repository's address wherever it is written: `python docs/set_address.py OWNER/NAME`.

`url` in setup.cfg is the address; the links of badges, notebooks and documents repeat it.
"""

import argparse
import configparser
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACES = (
    *("setup.cfg", "mkdocs.yml", "CITATION.cff", "README.md"),
    *("docs/*.md", "colabs/*.ipynb"),
)
_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def current(root: Path = ROOT) -> str:
    """OWNER/NAME, as `url` in setup.cfg has it."""
    settings = configparser.RawConfigParser()
    settings.read(root / "setup.cfg", encoding="utf-8")
    return settings["metadata"]["url"].removeprefix("https://github.com/")


def replace(name: str, root: Path = ROOT) -> list[Path]:
    """Writes another OWNER/NAME into all places; those that changed."""
    before, changed = current(root), []
    for path in sorted(path for place in PLACES for path in root.glob(place)):
        text = path.read_text(encoding="utf-8")
        # GitHub's own addresses, and Colab's of files there.
        pattern = r"(github\.com/|githubusercontent\.com/|colab\.research\.google\.com/github/)"
        new = re.sub(pattern + re.escape(before) + r"(?![\w-])", rf"\g<1>{name}", text)
        if new != text:
            path.write_text(new, encoding="utf-8")
            changed.append(path)
    return changed


def main() -> None:
    """Replaces the address, and says where."""
    parser = argparse.ArgumentParser(description="Set the address of the repository.")
    parser.add_argument("name", metavar="OWNER/NAME", help="on GitHub")
    name = parser.parse_args().name
    if not _NAME.fullmatch(name):
        parser.error(f"{name} is not OWNER/NAME")
    for path in replace(name):
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
