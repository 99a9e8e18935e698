"""Results of a test: one for each image, below the folder that was named, over nothing else."""

import csv
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from msseg.apis.results import LabelArchive, LabelFiles, Overlays, load_shown
from msseg.apis.test import test_segmentor as run_test
from msseg.config import Config
from msseg.datasets import EvalLoader, build_dataset
from msseg.datasets.builder import PIPELINES
from msseg.datasets.pipelines import LoadImageFromFile
from msseg.datasets.result_files import input_files, outputs_of, sample_names
from msseg.evaluation import confusion_matrix
from msseg.reports.browse import browse_dataset
from msseg.reports.comparisons import Comparisons
from msseg.reports.confusion_picture import check_out, count_confusions
from msseg.reports.evaluation_report import EvaluationReport
from msseg.utils.outputs import Outputs

PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='ImageToTensor', keys=['img']),
    dict(type='Collect', keys=['img'], meta_keys=['filename', 'ori_filename', 'ori_shape']),
]
PALETTE = [[0, 0, 0], [255, 200, 0]]
OPTIONS = dict(
    type='CustomDataset', classes=('ground', 'disc'), palette=PALETTE, pipeline=PIPELINE,
    test_mode=True, img_suffix=['.png', '.jpg'],
)  # fmt: skip


def write_pair(root, name, value, images='images', labels='labels'):
    """Write an image of one colour; its label has as many rows of class 1 as the colour says."""
    image, label = root / images / name, (root / labels / name).with_suffix('.png')
    for path in (image, label):
        path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(image), np.full((8, 6, 3), 20 * value, np.uint8))
    rows = np.repeat(np.arange(8) < value, 6).reshape(8, 6).astype(np.uint8)
    cv2.imwrite(str(label), rows)
    return image, label


def pairs(root, *lines):
    (root / 'data').mkdir(exist_ok=True)
    (root / 'data' / 'test.lst').write_text(''.join(f'{a} {b}\n' for a, b in lines))
    return dict(data_root=str(root / 'data'), split='test.lst')


def absolute(root):
    return pairs(root, *(write_pair(root / 'data', f'{i}.png', i) for i in (1, 2, 3)))


def upward(root):
    write_pair(root, '1.png', 1)
    write_pair(root, '2.png', 2)
    return pairs(root, *((f'../images/{i}.png', f'../labels/{i}.png') for i in (1, 2)))


def elsewhere(root):
    one, other = write_pair(root / 'data', '1.png', 1), write_pair(root / 'far/away', '1.png', 2)
    return pairs(root, one, other)


def equal_names(root):
    for i, name in enumerate(('north/1.png', 'north/2.png', 'south/1.png', 'south/2.png')):
        write_pair(root / 'data', name, i)
    return dict(data_root=str(root / 'data'), img_dir='images', ann_dir='labels')


def equal_stems(root):
    write_pair(root / 'data', 'a.jpg', 1)
    write_pair(root / 'data', 'a.png', 1)
    return dict(data_root=str(root / 'data'), img_dir='images', ann_dir='labels')


def cases(root):
    write_pair(root / 'data', 'a.png', 1)
    write_pair(root / 'data', 'A.png', 2)
    return dict(data_root=str(root / 'data'), img_dir='images', ann_dir='labels')


def several_sets(root):
    for i, name in enumerate(('one', 'two')):
        for j in (1, 2):
            write_pair(root / 'data' / name, f'{j}.png', 4 * i + j)
    sets = [f'{name}/images' for name in ('one', 'two')]
    labels = [f'{name}/labels' for name in ('one', 'two')]
    return dict(data_root=str(root / 'data'), img_dir=sets, ann_dir=labels)


def linked(root):
    write_pair(root / 'far', '1.png', 1)
    write_pair(root / 'far', '2.png', 2)
    (root / 'data').mkdir()
    (root / 'data' / 'images').symlink_to(root / 'far' / 'images')
    (root / 'data' / 'labels').symlink_to(root / 'far' / 'labels')
    return dict(data_root=str(root / 'data'), img_dir='images', ann_dir='labels')


LAYOUTS = [absolute, upward, elsewhere, equal_names, equal_stems, cases, several_sets, linked]


@pytest.fixture(params=LAYOUTS, ids=lambda layout: layout.__name__)
def dataset(request, tmp_path):
    return build_dataset({**OPTIONS, **request.param(tmp_path / 'in')})


def overlays(dataset, out):
    return Overlays(out, dataset, 0.5, outputs_of(dataset)).add


def label_files(dataset, out):
    return LabelFiles(out, dataset, outputs_of(dataset)).add


def comparisons(dataset, out):
    return Comparisons(out, dataset).add


FOLDER_WRITERS = [overlays, label_files, comparisons]


def truths(dataset):
    """Yield what a network without faults would give."""
    for sample in EvalLoader(dataset, 0):
        yield sample, sample.gt.astype(np.int32)


def content(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob('*') if path.is_file()}


@pytest.mark.parametrize('writer', FOLDER_WRITERS)
def test_every_image_has_a_result_in_the_folder(dataset, writer, tmp_path):
    before = content(tmp_path / 'in')
    add = writer(dataset, tmp_path / 'out')
    for sample, labels in truths(dataset):
        add(sample, labels)
    written = content(tmp_path / 'out')
    assert len(written) == len(dataset)
    assert content(tmp_path / 'in') == before
    # once more: these are our own results
    add = writer(dataset, tmp_path / 'out')
    add(*next(truths(dataset)))
    assert content(tmp_path / 'out') == written


def test_each_image_finds_its_own_label_map_in_the_archive(dataset, tmp_path):
    with LabelArchive(tmp_path / 'out.npz', dataset, outputs_of(dataset)) as archive:
        for sample, labels in truths(dataset):
            archive.add(sample, labels)
    assert sorted(np.load(tmp_path / 'out.npz')) == sorted(sample_names(dataset))
    matrix = count_confusions(dataset, tmp_path / 'out.npz')
    assert matrix.sum() == 48 * len(dataset)
    expected = sum(
        confusion_matrix(labels, sample.gt, 2, 255) for sample, labels in truths(dataset)
    )
    np.testing.assert_array_equal(matrix, expected)
    assert matrix[0, 1] == matrix[1, 0] == 0


def test_names_that_are_no_utf_8_are_escaped(tmp_path):
    for path in write_pair(tmp_path, 'n.png', 3):
        path.rename(path.with_name(os.fsdecode(b'n\xff.png')))
    dataset = build_dataset(
        dict(OPTIONS, data_root=str(tmp_path), img_dir='images', ann_dir='labels')
    )
    with LabelArchive(tmp_path / 'out.npz', dataset, outputs_of(dataset)) as archive:
        archive.add(*next(truths(dataset)))
    assert np.load(tmp_path / 'out.npz').files == ['n\\udcff']
    assert count_confusions(dataset, tmp_path / 'out.npz').sum() == 48


def test_a_report_and_a_page_of_samples_keep_to_their_files(dataset, tmp_path):
    cfg = Config(dict(data=dict(test={})))
    report = EvaluationReport(tmp_path / 'out', dataset, cfg, tmp_path / 'in' / 'a.ckpt')
    predicted = {}
    for sample, labels in truths(dataset):
        report.add(sample, labels)
        predicted[sample.metas[0]['filename']] = labels
    before = content(tmp_path / 'in')

    class Again:
        def labels(self, imgs, metas):
            return predicted[metas[0]['filename']]

    report.write(Again())
    assert {path.name for path in content(tmp_path / 'out')} == {'report.html', 'images.csv'}
    with (tmp_path / 'out' / 'images.csv').open() as file:
        assert len(list(csv.reader(file))) == 1 + len(dataset)
    assert content(tmp_path / 'in') == before


@pytest.mark.parametrize('writer', FOLDER_WRITERS)
@pytest.mark.parametrize('kind', ['over inputs', 'linked folder', 'linked file', 'over others'])
def test_nothing_is_written_over_inputs_or_outside(tmp_path, writer, kind):
    # label files of several sets lie in a folder for each, overlays and so on below what they share
    layout = equal_names if writer is label_files else several_sets
    dataset = build_dataset({**OPTIONS, **layout(tmp_path / 'in')})
    source = Path(dataset.get_filename(0))
    out, result = tmp_path / 'out', f'{sample_names(dataset)[0]}.png'
    if kind == 'over inputs':
        out = tmp_path / 'in/data' / ('labels' if writer is label_files else '')
    else:
        target = out / result
        target.parent.mkdir(parents=True)
        if kind == 'linked folder':
            target.parent.rmdir()
            (tmp_path / 'elsewhere').mkdir()
            target.parent.symlink_to(tmp_path / 'elsewhere')
        elif kind == 'linked file':
            target.symlink_to(source)
        else:
            target.write_bytes(b"the user's own picture")
    before = content(tmp_path)
    message = 'outside of|replace the input|was not written by msseg'
    with pytest.raises((ValueError, FileExistsError), match=message):
        writer(dataset, out)
    assert content(tmp_path) == before


def test_a_data_set_that_writes_no_label_files_is_named(tmp_path):
    class Plain:
        CLASSES = ('ground', 'disc')

        def __len__(self):
            return 2

    with pytest.raises(TypeError, match='data.test is a Plain, which has no method format_results'):
        LabelFiles(tmp_path / 'out', Plain(), Outputs())
    assert sample_names(Plain()) == ['sample 0', 'sample 1']


def test_repeated_samples_have_results_of_their_own(tmp_path):
    inner = {**OPTIONS, **equal_names(tmp_path / 'in')}
    dataset = build_dataset(dict(type='RepeatDataset', times=2, dataset=inner))
    assert len(set(sample_names(dataset))) == len(dataset) == 8


def test_two_options_never_write_one_file(tmp_path):
    dataset = build_dataset({**OPTIONS, **equal_names(tmp_path / 'in')})
    outputs = outputs_of(dataset)
    Overlays(tmp_path / 'out', dataset, 0.5, outputs)
    with pytest.raises(ValueError, match=r'--format-dir: .*north/1\.png.*twice.*--show-dir'):
        LabelFiles(tmp_path / 'out', dataset, outputs)


@pytest.mark.parametrize('name', ['.', 'north', 'north/deep'])
def test_pictures_do_not_go_where_the_next_run_looks_for_images(tmp_path, name):
    dataset = build_dataset({**OPTIONS, **equal_names(tmp_path / 'in')})
    folder = tmp_path / 'in/data/images' / name / 'out'
    for option, writer in (('--show-dir', overlays), ('format_results', label_files)):
        with pytest.raises(ValueError, match=rf'{option}: .*out/.*would lie in .*data/images., wh'):
            writer(dataset, folder)
    (tmp_path / 'link').symlink_to(tmp_path / 'in/data/images')
    with pytest.raises(ValueError, match='--show-dir: .*would lie in'):
        overlays(dataset, tmp_path / 'link' / 'out')
    assert not folder.exists()


def test_pictures_may_go_where_they_are_no_images_of_the_next_run(tmp_path):
    pair = write_pair(tmp_path / 'in' / 'data', '1.png', 1)
    listed = build_dataset({**OPTIONS, **pairs(tmp_path / 'in', pair)})
    assert overlays(listed, tmp_path / 'in' / 'data' / 'images' / 'out')
    write_pair(tmp_path / 'jpg', '1.jpg', 1)
    folders = dict(data_root=str(tmp_path / 'jpg'), img_dir='images', ann_dir='labels')
    other = build_dataset({**OPTIONS, **folders, 'img_suffix': '.jpg'})
    assert overlays(other, tmp_path / 'jpg' / 'images' / 'out')


def test_names_that_are_too_long_are_skipped_and_counted_at_the_end(tmp_path, monkeypatch, capsys):
    for name in ('a.jpg', 'c' * 251 + '.jpg', 'c' * 251 + '.png'):
        write_pair(tmp_path / 'in', name, 1)
    folders = dict(data_root=str(tmp_path / 'in'), img_dir='images', ann_dir='labels')
    dataset = build_dataset({**OPTIONS, **folders, 'img_suffix': ['.jpg', '.png']})

    def predict(inferencer, dataset, workers_per_gpu, handlers, **options):
        for sample, labels in truths(dataset):
            for handle in handlers:
                handle(sample, labels)

    monkeypatch.setattr('msseg.apis.test.predict_all', predict)
    monkeypatch.setattr('msseg.apis.test.Inferencer', lambda model: None)
    with pytest.raises(
        ValueError, match='^4 results could not be written and were skipped, .*cccc'
    ):
        run_test(
            None, dataset, Config({'data': {}}), show_dir=tmp_path / 'shown',
            format_dir=tmp_path / 'labels', out=tmp_path / 'all.npz',
        )  # fmt: skip
    assert [p.name for p in (tmp_path / 'shown').iterdir()] == ['a.png']
    assert [p.name for p in (tmp_path / 'labels').iterdir()] == ['a.png']
    assert len(np.load(tmp_path / 'all.npz').files) == 3
    assert capsys.readouterr().err.count('no file can be called') == 4


def test_an_archive_of_other_sets_is_refused(tmp_path):
    both = build_dataset({**OPTIONS, **several_sets(tmp_path / 'in')})
    one = build_dataset({**OPTIONS, 'data_root': str(tmp_path / 'in/data'),
                         'img_dir': 'one/images', 'ann_dir': 'one/labels'})  # fmt: skip
    with LabelArchive(tmp_path / 'out.npz', one, outputs_of(one)) as archive:
        for sample, labels in truths(one):
            archive.add(sample, labels)
    with pytest.raises(ValueError, match=r"has no label map of '1\.png'"):
        count_confusions(both, tmp_path / 'out.npz')
    with pytest.raises(ValueError, match=r'--out: .*replace the input'):
        check_out(tmp_path / 'out.npz', both, tmp_path / 'out.npz')


def test_one_image_listed_twice_has_two_results(tmp_path):
    pair = write_pair(tmp_path / 'in' / 'data', '1.png', 1)
    dataset = build_dataset({**OPTIONS, **pairs(tmp_path / 'in', pair, pair)})
    assert sample_names(dataset) == ['images/1.png', 'images/1.png~2']


def test_inputs_are_images_and_labels_of_all_sets(tmp_path):
    dataset = build_dataset({**OPTIONS, **several_sets(tmp_path)})
    assert [Path(path).relative_to(tmp_path / 'data').as_posix() for path in input_files(dataset)][
        2:5
    ] == ['one/images/2.png', 'one/labels/2.png', 'two/images/1.png']


@pytest.mark.parametrize('num_classes', [256, 257, 300])
@pytest.mark.parametrize('reduce_zero_label', [False, True])
def test_class_numbers_are_written_whole(tmp_path, num_classes, reduce_zero_label):
    layout = equal_names(tmp_path)
    classes = [f'class {i}' for i in range(num_classes)]
    dataset = build_dataset(
        {**OPTIONS, **layout, 'classes': classes, 'reduce_zero_label': reduce_zero_label,
         'palette': None, 'ignore_index': -1}
    )  # fmt: skip
    dtype = np.uint8 if num_classes <= 256 else np.uint16
    predicted = np.array([[0, 1], [200, num_classes - 1]], dtype)
    files = dataset.format_results([predicted, predicted * 0], str(tmp_path / 'out'), [0, 3])
    expected = predicted.astype(int) + reduce_zero_label
    written = [np.array(Image.open(file)) for file in files]
    np.testing.assert_array_equal(written[0], expected)
    fits = num_classes - 1 + reduce_zero_label <= 255
    assert Image.open(files[1]).mode == ('L' if fits else 'I;16')


@pytest.mark.parametrize('values', [[[-1]], [[70_000]]])
def test_label_values_that_no_png_holds_are_refused(tmp_path, values):
    dataset = build_dataset({**OPTIONS, **equal_names(tmp_path)})
    with pytest.raises(ValueError, match=r'1\.png: label values .*a PNG holds 0 to 65535'):
        dataset.format_results([np.array(values)], str(tmp_path / 'out'), [0])


@PIPELINES.register_module(force=True)
class LoadArray:
    """A loader of one's own."""

    def __call__(self, results):
        path = Path(results['img_prefix'], results['img_info']['filename'])
        results.update(LoadImageFromFile()(dict(results, img_info=dict(filename='1.png'))))
        results['img'] = np.load(path)
        return results


def test_pictures_show_what_the_pipeline_loads(tmp_path):
    write_pair(tmp_path / 'data', '1.png', 1)
    picture = np.random.default_rng(0).integers(0, 255, (8, 6, 3)).astype(np.uint8)
    np.save(tmp_path / 'data/images/1.npy', picture)
    folders = dict(data_root=str(tmp_path / 'data'), img_dir='images', ann_dir='labels')
    own = build_dataset({**OPTIONS, **folders, 'img_suffix': '.npy',
                         'pipeline': [dict(type='LoadArray'), *PIPELINE[1:]]})  # fmt: skip
    np.testing.assert_array_equal(load_shown(own, 0), picture)
    overlays(own, tmp_path / 'out')(*next(truths(own)))
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['1.png']


@pytest.mark.parametrize('legend', [True, False])
@pytest.mark.parametrize('tint_background', [True, False])
def test_overlays_have_a_legend_and_a_bare_background_unless_asked(
    tmp_path, legend, tint_background
):
    layout = absolute(tmp_path / 'in')
    dataset = build_dataset({**OPTIONS, **layout, 'classes': ['bg', 'disc'], 'palette': None})
    writer = Overlays(tmp_path / 'out', dataset, 0.5, outputs_of(dataset), legend, tint_background)
    sample, labels = next(truths(dataset))
    labels[:] = 0
    writer.add(sample, labels)
    shown = cv2.imread(str(writer.paths[sample.index]))
    image = load_shown(dataset, sample.index)
    h, w = labels.shape
    assert shown.shape[1] == w and (len(shown) > h) == legend
    assert (shown[:h] == image).all() == (not tint_background)


@pytest.mark.parametrize('orientation', [3, 6])
@pytest.mark.parametrize('suffix', ['.jpg', '.jfif'])
def test_turned_photographs_are_shown_as_they_are_loaded(tmp_path, orientation, suffix):
    photo, label = np.full((48, 64, 3), 60, np.uint8), np.zeros((48, 64), np.uint8)
    cv2.circle(label, (14, 14), 10, 1, -1)
    photo[label == 1] = 220
    for folder in ('images', 'labels'):
        (tmp_path / folder).mkdir()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(photo).save(
        tmp_path / f'images/a{suffix}', format='jpeg', exif=exif.tobytes(), quality=95
    )
    Image.fromarray(label).save(tmp_path / 'labels/a.png')
    loader = dict(type='LoadImageFromFile', color_type='color_ignore_orientation')
    config = dict(OPTIONS, pipeline=[loader, *PIPELINE[1:]], data_root=str(tmp_path),
                  img_dir='images', ann_dir='labels', img_suffix=suffix)  # fmt: skip
    dataset = build_dataset(config)
    overlays(dataset, tmp_path / 'out')(*next(truths(dataset)))
    shown = cv2.imread(str(tmp_path / 'out/a.png')).astype(int)
    assert shown[14, 14].tolist() == pytest.approx([110, 210, 237], abs=4), 'yellow on the disc'
    assert shown[33, 49].tolist() == pytest.approx([30, 30, 30], abs=4)

    collect = dict(type='Collect', keys=['img', 'gt_semantic_seg'], meta_keys=['filename'])
    train = [loader, dict(type='LoadAnnotations'), dict(type='DefaultFormatBundle'), collect]
    cfg = Config(dict(data=dict(train=dict(config, pipeline=train, test_mode=False))))
    html = browse_dataset(cfg, tmp_path / 'browse', 1, 1).read_text()
    assert html.count('48x64') >= 1
