"""Hooks of mkdocs: what of the site is no page below docs/.

- README.md is the first page; CONTRIBUTING.md and other pages above docs/ are pages, too.
- A file of the repository that a page links to, such as a config, is copied into the site.
- Pages of the reference are made from the package: one for each room, from its docstrings.

Links stay as the repository shows them and are turned while the site is built, so that both
readers get there; mkdocs then checks each of them.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
HOME = 'README.md'
COPIED = 'repository'
REFERENCE = {
    'apis': 'Python interface',
    'models/segmentors': 'Segmentors',
    'models/backbones': 'Backbones',
    'models/necks': 'Necks',
    'models/decode_heads': 'Decode heads',
    'models/losses': 'Losses',
    'models/layers': 'Layers',
    'datasets': 'Data sets',
    'datasets/pipelines': 'Transforms',
    'evaluation': 'Evaluation',
    'runner': 'Runner, optimizers and schedules',
    'runner/hooks': 'Hooks',
    'inference': 'Inference',
    'prediction': 'Prediction',
    'export': 'Export',
    'convert': 'Weights from PyTorch',
    'deploy': 'Running exported files',
}

_LINK = re.compile(r'(!?\[[^\]]*\]\()(?!\w+:)([^)#\s]+)')


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the first page, pages above docs/, files that pages link to, and the reference."""
    for page in [*ROOT.glob('*.md'), *ROOT.glob('demo/**/*.md')]:
        name = page.relative_to(ROOT).as_posix()
        files.append(File.generated(config, _uri(name), content=page.read_text(encoding='utf-8')))
    for name in sorted(_linked_files(files)):
        files.append(File.generated(config, _uri(name), abs_src_path=str(ROOT / name)))
    for room, title in REFERENCE.items():
        files.append(File.generated(config, _reference(room), content=_room(room, title)))
    config.nav[-1] = {'Reference': [{t: _reference(room)} for room, t in REFERENCE.items()]}
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Turn links of the repository into those of the site."""
    if page.file.src_uri.startswith('reference/'):
        return markdown
    here = _name(page.file.src_uri)

    def turned(match: re.Match) -> str:
        target = _target(here, match[2])
        return match[1] + posixpath.relpath(_uri(target), posixpath.dirname(_uri(here)) or '.')

    return _LINK.sub(turned, markdown)


def _linked_files(files: Files) -> set[str]:
    """The files above docs/ that pages link to, except other pages."""
    linked = set()
    for file in files.documentation_pages():
        name = _name(file.src_uri)
        for _, link in _LINK.findall(file.content_string):
            target = _target(name, link)
            if not (target.startswith('docs/') or target.endswith('.md')):
                if not (ROOT / target).is_file():
                    raise PluginError(f'{name}: the link to {link!r} leads to no file')
                linked.add(target)
    return linked


def _target(name: str, link: str) -> str:
    """What a link in a page leads to, from the repository's root."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), link))


def _uri(name: str) -> str:
    """Where a file of the repository is in the site."""
    if name == HOME:
        return 'index.md'
    if name.startswith('docs/'):
        return name.removeprefix('docs/')
    return name if name.endswith('.md') else f'{COPIED}/{name}'


def _name(uri: str) -> str:
    """Where a page of the site is in the repository."""
    if uri == 'index.md':
        return HOME
    return uri if (ROOT / uri).is_file() else f'docs/{uri}'


def _reference(room: str) -> str:
    return f'reference/{room.replace("/", "_")}.md'


def _room(room: str, title: str) -> str:
    """A page of the reference: the package's own words, then what each of its modules has."""
    folder = ROOT / 'msseg' / room
    package = f'msseg.{room.replace("/", ".")}'
    modules = sorted(path.stem for path in folder.glob('*.py') if not path.stem.startswith('_'))
    shown = '{members: false, show_root_heading: false, show_root_toc_entry: false}'
    lines = [f'# {title}', f'::: {package}\n    options: {shown}']
    lines += [f'::: {package}.{module}' for module in modules]
    return '\n\n'.join(lines) + '\n'
