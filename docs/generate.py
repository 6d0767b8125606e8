"""What the documents show and code can say: the catalog of blocks, the public names, the pictures.

python docs/generate.py                write all of it
python docs/generate.py --check        say what of it is not current; exit code 1 if anything is
python docs/generate.py --comparison   write the picture that shows what a network adds to bicubic interpolation
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from generator.catalog import catalog, entries, modules, others
from generator.comparison import comparison
from generator.drawing import Sheet
from generator.pictures import pictures

DOCS = Path(__file__).parent


def generated() -> dict[Path, str]:
    """Give everything that is generated: file -> what it should hold."""
    torch.manual_seed(0)
    folders = {entry.name: entry.module.partition(".")[0] for entry in entries()}
    drawn = {name: f"{folders[name]}/{name}.svg" for name in pictures()}
    files = {DOCS / drawn[name]: Sheet(picture).svg(name) for name, picture in pictures().items()}
    readme = _replaced((DOCS / "README.md").read_text(), "names", others())
    files[DOCS / "README.md"] = _replaced(readme, "modules", modules())
    files[DOCS / "blocks.md"] = _replaced((DOCS / "blocks.md").read_text(), "catalog", catalog(drawn))
    return files


def _replaced(document: str, name: str, text: str) -> str:
    """Put text between the markers of that name."""
    pattern = re.compile(rf"(<!-- {name}: .*? -->\n).*?(<!-- end -->)", re.DOTALL)
    if not pattern.search(document):
        raise SystemExit(f"generate.py: the document has no markers for {name}")
    return pattern.sub(lambda match: f"{match[1]}{text}\n{match[2]}", document)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    parser = argparse.ArgumentParser(description="Write what the documents show and code can say.")
    parser.add_argument("--check", action="store_true", help="write nothing, say what is not current")
    parser.add_argument("--comparison", action="store_true", help="write docs/comparison.png and nothing else")
    args = parser.parse_args(arguments)
    if args.comparison:
        comparison().save(DOCS / "comparison.png", optimize=True)
        return 0
    files = generated()
    stale = [path for path, text in files.items() if not path.is_file() or path.read_text() != text]
    for path in stale:
        print(path.relative_to(DOCS.parent))
        if not args.check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(files[path])
    return int(args.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
