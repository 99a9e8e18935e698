import sys
from types import ModuleType

from msseg.apis.build import graph_settings
from msseg.config import Config

BASE = {'model': {'type': 'A'}, 'data': {'samples_per_gpu': 2, 'workers_per_gpu': 1}}


def test_places_and_loading_do_not_count_and_the_rest_does():
    same = Config(
        {**BASE, 'work_dir': 'x', 'seed': 1, 'data': {**BASE['data'], 'workers_per_gpu': 4}}
    )
    other = Config({**BASE, 'optimizer': {'momentum': 0.5}})
    assert graph_settings(Config(BASE)) == graph_settings(same)
    assert graph_settings(Config(BASE)) != graph_settings(other)


def test_the_text_of_a_users_modules_counts(tmp_path, monkeypatch):
    module = ModuleType('own_head')
    module.__file__ = str(tmp_path / 'own_head.py')
    monkeypatch.setitem(sys.modules, 'own_head', module)
    cfg = Config({**BASE, 'custom_imports': {'imports': ['own_head']}})
    texts = []
    for text in ('scale = 1', 'scale = 2'):
        (tmp_path / 'own_head.py').write_text(text)
        texts.append(graph_settings(cfg))
    assert texts[0] != texts[1]
