"""The pages build as a site, strictly: no link, anchor or cross-reference that leads nowhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def build(config: Path, out: Path) -> subprocess.CompletedProcess[str]:
    # not with -q, which hides warnings from --strict as well
    command = [sys.executable, '-m', 'mkdocs', 'build', '--strict']
    env = {**os.environ, 'NO_MKDOCS_2_WARNING': '1'}
    return subprocess.run(
        [*command, '-f', str(config), '-d', str(out)],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope='module')
def site(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp('site')
    done = build(ROOT / 'mkdocs.yml', out)
    assert done.returncode == 0, done.stderr[-2000:]
    return out


def test_the_site_has_the_pages_and_the_files_that_they_link_to(site):
    home = (site / 'index.html').read_text()
    assert 'Two commands' in home
    config = 'repository/configs/ocrnet/ocrnet_hr48_512x1024_160k_cityscapes.py'
    assert config in (site / 'model_zoo/index.html').read_text()
    assert (site / config).read_text() == (ROOT / config.removeprefix('repository/')).read_text()


def test_the_reference_has_docstrings_with_arguments_and_examples(site):
    page = (site / 'reference/models_backbones/index.html').read_text()
    assert 'id="msseg.models.backbones.mit.MixVisionTransformer"' in page
    page = (site / 'reference/datasets_pipelines/index.html').read_text()
    assert 'id="msseg.datasets.pipelines.pad.Pad"' in page
    assert 'seg_pad_val' in page
    assert 'Examples:' in page


def test_pages_ask_no_other_host_for_anything(site):
    part = re.compile(r'<(?:script|img|link rel="stylesheet")[^>]*(?:src|href)="(https?:[^"]*)')
    for page in site.rglob('*.html'):
        asked = part.findall(page.read_text())
        assert not asked, page.relative_to(site)


def test_a_link_that_leads_nowhere_stops_the_build(tmp_path):
    settings = (ROOT / 'mkdocs.yml').read_text()
    (tmp_path / 'docs').mkdir()
    (tmp_path / 'docs/index.md').write_text('[away](nowhere.md)\n')
    plain = re.sub(r'^hooks:.*\n', '', settings, flags=re.MULTILINE)
    (tmp_path / 'mkdocs.yml').write_text(plain[: plain.index('nav:')])
    done = build(tmp_path / 'mkdocs.yml', tmp_path / 'out')
    assert done.returncode == 1
    assert 'nowhere.md' in done.stderr
