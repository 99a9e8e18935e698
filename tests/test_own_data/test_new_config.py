"""Configs for a user's own data."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from msseg.apis import load_config
from msseg.apis.build import build_split
from msseg.checks.data import check_dataset
from msseg.own_data.new_config import write_config

TEXT = 'train: images/train\nval: images/val\nmasks_dir: masks\nnames: [road, sky, car]\n'


@pytest.fixture
def data(tmp_path):
    """A folder of four images of 100 x 150 pixels, three classes and `data.yaml`."""
    for name in ('train/1', 'train/2', 'train/3', 'val/4'):
        for folder, mode, value in (('images', 'RGB', (50, 100, 150)), ('masks', 'L', 1)):
            path = tmp_path / folder / f'{name}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new(mode, (150, 100), value).save(path)
    (tmp_path / 'data.yaml').write_text(TEXT)
    return tmp_path


def heads_of(cfg):
    for key in ('decode_head', 'auxiliary_head'):
        heads = cfg.model.get(key) or []
        yield from heads if isinstance(heads, list) else [heads]


@pytest.mark.parametrize(
    ('model', 'crop', 'num_classes'),
    [
        ('ocrnet_nuclei', (96, 128), {3}),
        ('ocrnet_hr18s_512x1024_40k_cityscapes', (96, 128), {3}),
        ('ocrnet/ocrnet_hr48_512x512_160k_ade20k.py', (96, 128), {3}),
        ('msseg::stdc/stdc1_in1k-pre_512x1024_80k_cityscapes.py', (96, 128), {3, 2}),
        ('deeplabv3plus_r50-d8_512x512_160k_ade20k', (96, 128), {3}),
    ],
)
def test_a_config_has_what_its_data_needs(data, model, crop, num_classes):
    written = write_config(data, model, None, check_dataset)
    cfg = load_config(str(written.config))
    assert {head.num_classes for head in heads_of(cfg)} == num_classes
    assert cfg.model.pretrained is None
    steps = {step['type']: step for step in cfg.data.train.pipeline}
    assert steps['Normalize']['mean'] == [50, 100, 150]
    assert tuple(steps['Pad']['size']) == tuple(steps['RandomCrop']['crop_size']) == crop
    assert not steps['LoadAnnotations'].get('reduce_zero_label')
    assert steps['Resize'].get('img_scale', (150, 100)) == (150, 100)
    assert cfg.data.samples_per_gpu <= 3
    assert [len(build_split(cfg, split)) for split in ('train', 'val', 'test')] == [3, 1, 1]


def test_weights_and_statistics_may_stay(data):
    name = 'ocrnet_hr18s_512x1024_40k_cityscapes'
    written = write_config(data, name, data / 'own.py', check_dataset, is_pretrained=True)
    cfg = load_config(str(written.config))
    assert cfg.model.pretrained == 'open-mmlab://msra/hrnetv2_w18_small'
    assert cfg.data.train.pipeline[-4]['mean'] == [123.675, 116.28, 103.53]


def test_the_config_moves_with_its_folder_and_may_lie_elsewhere(data, tmp_path_factory):
    write_config(data, 'ocrnet_nuclei', data / 'configs' / 'a.py', check_dataset)
    elsewhere = tmp_path_factory.mktemp('elsewhere')
    write_config(data, 'ocrnet_nuclei', elsewhere / 'b.py', check_dataset)
    moved = data.rename(data.with_name('moved'))
    assert len(build_split(load_config(str(moved / 'configs' / 'a.py')), 'train')) == 3
    assert load_config(str(elsewhere / 'b.py')).data.train.data == str(data.resolve() / 'data.yaml')


def test_a_folder_without_a_data_yaml_needs_the_names_of_its_classes(data):
    (data / 'data.yaml').unlink()
    with pytest.raises(FileNotFoundError, match='--classes'):
        write_config(data, 'ocrnet_nuclei', None, check_dataset)
    written = write_config(data, 'ocrnet_nuclei', None, check_dataset, classes=['road', 'sky'])
    assert build_split(load_config(str(written.config)), 'val').CLASSES == ['road', 'sky']
    with pytest.raises(FileExistsError, match='data.yaml'):
        write_config(data, 'unet_nuclei', None, check_dataset, classes=['a', 'b'])
    (data / 'data.yaml').unlink()
    (data / 'masks').rename(data / 'other')
    with pytest.raises(FileNotFoundError, match='masks'):
        write_config(data, 'unet_nuclei', None, check_dataset, classes=['a', 'b'])


def test_mistakes_are_one_line(data):
    for model, message in (('ocrnet_nuclie', "mean 'ocrnet_nuclei'"), ('x', 'name of one of')):
        with pytest.raises(ValueError, match=message) as caught:
            write_config(data, model, None, check_dataset)
        assert '\n' not in str(caught.value)
        assert len(str(caught.value)) < 300
    with pytest.raises(FileNotFoundError, match='import-labels'):
        write_config(data / 'images', 'ocrnet_nuclei', None, check_dataset)
    (data / 'ocrnet_nuclei.py').write_text('mine = 1')
    with pytest.raises(FileExistsError, match='--force'):
        write_config(data, 'ocrnet_nuclei', None, check_dataset)
    with pytest.raises(FileExistsError, match='not written by msseg'):
        write_config(data, 'ocrnet_nuclei', None, check_dataset, force=True)
    assert Path(data / 'ocrnet_nuclei.py').read_text() == 'mine = 1'
    for force in (False, True):
        write_config(data, 'ocrnet_nuclei', data / 'again.py', check_dataset, force=force)
    (data / 'data.yaml').write_text('train: images/train\nnames: [a, b]')
    with pytest.raises(ValueError, match=r"data\.yaml: 'val' is missing"):
        write_config(data, 'ocrnet_nuclei', data / 'a.py', check_dataset)


@pytest.mark.parametrize(('dtype', 'scale'), [('uint16', 1), ('float32', 1e-4)])
def test_images_of_bands_are_loaded_with_all_of_them(data, dtype, scale):
    rng = np.random.default_rng(0)
    for old in sorted((data / 'images').rglob('*.png')):
        image = rng.normal([1000, 2000, 300, 40], [100, 200, 30, 4], (100, 150, 4)) * scale
        image[:10] = np.nan if dtype == 'float32' else 0
        np.save(old.with_suffix('.npy'), image.astype(dtype))
        old.unlink()
    written = write_config(data, 'ocrnet_nuclei', None, check_dataset)
    cfg = load_config(str(written.config))
    assert cfg.model.backbone.in_channels == 4 and written.report.num_errors == 0
    steps = {step['type']: step for step in cfg.data.train.pipeline}
    assert 'PhotoMetricDistortion' not in steps and 'BandDistortion' in steps
    norm, load = steps['Normalize'], steps['LoadImageFromFile']
    assert (norm['to_rgb'], load['color_type'], load['fill']) == (False, 'unchanged', norm['mean'])
    if dtype == 'float32':  # NaN does not count
        np.testing.assert_allclose(norm['mean'], [0.1, 0.2, 0.03, 0.004], rtol=0.01)
        np.testing.assert_allclose(norm['std'], [0.01, 0.02, 0.003, 0.0004], rtol=0.02)
    sample = build_split(cfg, 'train')[0]
    assert sample['img'].shape == (4, 96, 128)


def test_bands_of_pngs_are_chosen(data):
    for path in sorted((data / 'images').rglob('*.png')):
        Image.new('RGBA', (150, 100), (10, 20, 30, 40)).save(path)
    written = write_config(data, 'ocrnet_nuclei', None, check_dataset, bands=[4, 1])
    cfg = load_config(str(written.config))
    steps = {step['type']: step for step in cfg.data.test.pipeline[1]['transforms']}
    assert steps['Normalize']['mean'] == [40, 10] and cfg.model.backbone.in_channels == 2


def test_the_array_of_an_archive_is_chosen(data):
    for path in sorted((data / 'images').rglob('*.png')):
        image = np.random.default_rng(0).random((100, 150, 2)).astype(np.float32)
        np.savez(path.with_suffix('.npz'), img=image, msk=np.zeros((100, 150)))
        path.unlink()
    with pytest.raises(ValueError, match=r"'img' of shape .*give --array NAME"):
        write_config(data, 'ocrnet_nuclei', None, check_dataset)
    written = write_config(data, 'ocrnet_nuclei', None, check_dataset, array='img')
    load = load_config(str(written.config)).data.train.pipeline[0]
    assert (load['array'], load['color_type'], len(load['fill'])) == ('img', 'unchanged', 2)
