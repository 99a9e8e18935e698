"""Whose names a file has is told by the names; every name of a full-size model is accounted for."""

import numpy as np
import pytest

from msseg.convert import LeftAside, check_style, convert, names, register_names
from msseg.convert.names import detect_style, strip_wrappers
from tests.test_models.parity_names import load_names, to_msseg

OFFICIAL = 'official hrnet-ocr w48 cityscapes'
MMSEG = 'mmseg ocrnet_hr48 cityscapes'
BACKBONE = ['conv1.weight', 'layer1.0.bn1.running_mean', 'stage2.0.branches.0.0.conv1.weight']


@pytest.fixture(scope='module')
def shapes_of():
    return load_names()


def zeros(shapes):
    """Arrays of these shapes that take no memory."""
    return {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}


def with_counters(shapes):
    layers = [name.removesuffix('.running_mean') for name in shapes if name.endswith('_mean')]
    return {**shapes, **{f'{layer}.num_batches_tracked': () for layer in layers}}


def to_model_zoo(shapes):
    """The names that the model zoo's scripts have; no bias before batch norm."""
    norms = {name.rpartition('.')[0] for name in shapes if name.endswith('.running_mean')}
    leaves = dict(weight='gamma', bias='beta', running_mean='moving_mean')
    leaves['running_var'] = 'moving_variance'
    renamed = {}
    for name, shape in shapes.items():
        layer, _, leaf = name.rpartition('.')
        if name not in ('aux_head.0.bias', 'conv3x3_ocr.0.bias'):
            renamed[f'{layer}.{leaves[leaf]}' if layer in norms else name] = shape
    return renamed


def account(conversion):
    kinds = [entry.kind for entry in conversion.entries]
    return {kind: kinds.count(kind) for kind in set(kinds)}


@pytest.mark.parametrize('wrapper', ['', 'module.', 'model.', 'module.model.'])
def test_official_names_without_a_model(shapes_of, wrapper):
    source = {wrapper + name: shape for name, shape in with_counters(shapes_of[OFFICIAL]).items()}
    source['module.loss.criterion.weight' if 'module' in wrapper else 'loss.weight'] = (19,)
    conversion = convert(zeros(source))
    expected = to_msseg(shapes_of[MMSEG])
    assert conversion.style == 'official'
    assert {k: list(v.shape) for k, v in conversion.weights.items()} == expected
    counters = len(source) - len(shapes_of[OFFICIAL]) - 1
    assert account(conversion) == {'converted': 1574, 'folded': 2, 'left aside': counters + 1}
    assert {entry.source for entry in conversion.entries} == set(source)


def test_official_names_into_a_model_with_and_without_biases(shapes_of):
    source = zeros(shapes_of[OFFICIAL])
    for wanted, expected in (
        (to_msseg(shapes_of[MMSEG]), {'converted': 1574, 'folded': 2}),
        (to_msseg(shapes_of[OFFICIAL], official=True), {'converted': 1576}),
    ):
        conversion = convert(source, wanted={name: tuple(s) for name, s in wanted.items()})
        assert account(conversion) == expected
        assert set(conversion.weights) == set(wanted)


def test_mmsegmentations_names(shapes_of):
    source = with_counters(shapes_of[MMSEG])
    conversion = convert(
        zeros(source), wanted={n: tuple(s) for n, s in to_msseg(shapes_of[MMSEG]).items()}
    )
    norms = sum(name.endswith('.running_mean') for name in source)
    assert conversion.style == 'mmseg'
    # A norm's four parameters get MindSpore's names.
    assert account(conversion) == {
        'matched': 1574 - 4 * norms, 'converted': 4 * norms, 'left aside': norms,
    }  # fmt: skip


def test_model_zoos_names_fill_both_models(shapes_of):
    source = to_model_zoo(shapes_of[OFFICIAL])
    source |= {'learning_rate': (), 'accum.conv1.weight': (64, 3, 3, 3), 'global_step': (1,)}
    for wanted, filled in (
        (to_msseg(shapes_of[MMSEG]), {}),
        (to_msseg(shapes_of[OFFICIAL], official=True), {'filled': 2}),
    ):
        conversion = convert(zeros(source), wanted={n: tuple(s) for n, s in wanted.items()})
        assert conversion.style == 'modelzoo'
        assert account(conversion) == {'converted': 1574, 'left aside': 3, **filled}
        assert set(conversion.weights) == set(wanted)
    assert {entry.target for entry in conversion.of_kind('filled')} == {
        'decode_head.0.convs.0.conv.bias',
        'decode_head.1.bottleneck.conv.bias',
    }


def test_model_zoos_backbone(shapes_of):
    source = to_model_zoo(shapes_of[OFFICIAL])
    heads = ('aux_head', 'cls_head', 'conv3x3_ocr', 'ocr_distri')
    source = {name: shape for name, shape in source.items() if not name.startswith(heads)}
    source |= {'last_layer.0.weight': (720, 720, 1, 1), 'last_layer.1.gamma': (720,)}
    conversion = convert(zeros(source))
    expected = {n: s for n, s in to_msseg(shapes_of[MMSEG]).items() if n.startswith('backbone.')}
    assert conversion.style == 'modelzoo'
    assert {k: list(v.shape) for k, v in conversion.weights.items()} == expected
    assert [entry.source for entry in conversion.of_kind('left aside')] == [
        'last_layer.0.weight',
        'last_layer.1.gamma',
    ]


@pytest.mark.parametrize('style', ['auto', 'imagenet', 'timm'])
def test_classifiers_head_is_left_aside(style):
    head = ['incre_modules.0.0.conv1.weight', 'downsamp_modules.0.0.bias', 'classifier.bias']
    head += ['final_layer.1.running_var', 'final_layer.1.num_batches_tracked']
    conversion = convert(zeros(dict.fromkeys([*BACKBONE, *head], (4,))), style)
    assert list(conversion.weights) == [
        'backbone.conv1.weight',
        'backbone.layer1.0.bn1.moving_mean',
        'backbone.stage2.0.branches.0.0.conv1.weight',
    ]
    assert {entry.source for entry in conversion.of_kind('left aside')} == set(head)
    assert conversion.style == ('timm' if style == 'timm' else 'imagenet')


def test_one_headed_hrnet_of_the_reference_implementation():
    last = ['last_layer.0.weight', 'last_layer.0.bias', 'last_layer.1.weight']
    last += ['last_layer.1.running_mean', 'last_layer.3.weight', 'last_layer.3.bias']
    conversion = convert(zeros(dict.fromkeys([*BACKBONE, *last], (4,))))
    assert conversion.style == 'official'
    assert [name for name in conversion.weights if name.startswith('decode')] == [
        'decode_head.convs.0.conv.weight',
        'decode_head.convs.0.bn.gamma',
        'decode_head.convs.0.bn.moving_mean',
        'decode_head.conv_seg.weight',
        'decode_head.conv_seg.bias',
    ]


def test_constants_of_mmengines_preprocessor_are_left_aside():
    conversion = convert(
        zeros({'backbone.conv1.weight': (2,), 'data_preprocessor.mean': (3, 1, 1)})
    )
    assert list(conversion.weights) == ['backbone.conv1.weight']
    assert conversion.of_kind('left aside')[0].source == 'data_preprocessor.mean'


def test_running_averages_of_mmcv_are_left_aside():
    conversion = convert(zeros({'backbone.conv1.weight': (2,), 'ema_backbone_conv1_weight': (2,)}))
    assert list(conversion.weights) == ['backbone.conv1.weight']
    assert conversion.of_kind('left aside')[0].source == 'ema_backbone_conv1_weight'


def test_unknown_names_beside_known_ones_are_unexpected():
    conversion = convert(zeros({**dict.fromkeys(BACKBONE, (2,)), 'teacher.weight': (2,)}))
    assert [entry.source for entry in conversion.of_kind('unexpected')] == ['teacher.weight']


@pytest.mark.parametrize(
    ('names', 'style'),
    [
        (['aux_head.0.weight'], 'official'),
        (['aux_head.1.moving_mean'], 'modelzoo'),
        (['bn1.moving_mean', 'bn1.gamma'], 'modelzoo'),
        (['decode_head.conv_seg.weight'], 'mmseg'),
        (['backbone.bn1.moving_mean'], 'mmseg'),
        (BACKBONE, 'imagenet'),
        (['encoder.weight'], None),
    ],
)
def test_detection(names, style):
    assert detect_style(names) == style


def test_wrapper_of_a_few_names_is_no_wrapper():
    names = ['model.a', 'b', 'c']
    assert strip_wrappers(names) == {name: name for name in names}


def test_the_model_tells_what_its_layers_call_their_parameters():
    """Norms without running statistics, embeddings and learnt slopes show only by the model."""
    wanted = {
        'backbone.norm.gamma': (4,),
        'backbone.norm.beta': (4,),
        'backbone.words.embedding_table': (7, 4),
        'backbone.act.w': (1,),
        'decode_head.conv_seg.weight': (2, 4, 1, 1),
    }
    file = {
        'backbone.norm.weight': (4,),
        'backbone.norm.bias': (4,),
        'backbone.words.weight': (7, 4),
        'backbone.act.weight': (1,),
        'decode_head.conv_seg.weight': (2, 4, 1, 1),
    }
    conversion = convert(zeros(file), wanted=wanted)
    assert set(conversion.weights) == set(wanted)
    assert [entry.kind for entry in conversion.entries] == ['converted'] * 4 + ['matched']
    backbone = {name.removeprefix('backbone.'): shape for name, shape in file.items()}
    del backbone['decode_head.conv_seg.weight']
    assert set(convert(zeros(backbone), 'auto', wanted, 'backbone.').weights) == set(wanted) - {
        'decode_head.conv_seg.weight'
    }


def test_foreign_networks_are_refused():
    message = r"these 1 names, such as \['encoder.weight'\], are in none of the styles"
    with pytest.raises(ValueError, match=message):
        convert(zeros({'encoder.weight': (2,)}))


def test_unknown_style():
    with pytest.raises(ValueError, match="style is 'offical', .*Did you mean 'official'"):
        check_style('offical')


def test_two_names_for_one_parameter():
    source = zeros({'aux_head.1.weight': (2,), 'aux_head.1.0.weight': (2,)})
    with pytest.raises(ValueError, match=r'both become .decode_head\.0\.convs\.0\.bn\.weight'):
        convert(source)


class TestNamesOfUsers:
    @pytest.fixture(autouse=True)
    def restored(self, monkeypatch):
        monkeypatch.setattr(names, '_ORIGINS', dict(names._ORIGINS))

    def test_are_detected_before_others_and_account_for_every_parameter(self):
        @register_names('lab', lambda names: any(name.startswith('lab.') for name in names))
        def rename(name):
            if name.startswith('classifier.'):
                raise LeftAside('the classifier')
            return name.replace('lab.', 'backbone.') if name.startswith('lab.') else None

        file = dict.fromkeys(
            ['lab.bn1.weight', 'lab.bn1.running_mean', 'decode_head.a', 'classifier.bias'], (2,)
        )
        conversion = convert(zeros(file))
        assert conversion.style == 'lab'
        assert list(conversion.weights) == ['backbone.bn1.gamma', 'backbone.bn1.moving_mean']
        assert [(entry.source, entry.note) for entry in conversion.entries[2:]] == [
            ('decode_head.a', 'a name of no rule'),
            ('classifier.bias', 'the classifier'),
        ]
        check_style('lab')

    @pytest.mark.parametrize('style', ['mmseg', 'msseg'])
    def test_do_not_take_a_style_that_is_there(self, style):
        with pytest.raises(KeyError, match='is registered already'):
            register_names(style)(str)


def test_a_vision_transformers_classifier_is_left_aside_and_other_transformers_are_unknown():
    names_of_file = [
        'cls_token',
        'blocks.0.attn.qkv.weight',
        'head_dist.bias',
        'blocks.0.ls1.gamma',
    ]
    assert detect_style(names_of_file) == 'vit'
    renamed = names.rename_layers(names_of_file, 'vit')
    assert renamed['blocks.0.attn.qkv.weight'].targets == (
        'backbone.layers.0.attn.attn.in_proj.weight',
    )
    assert isinstance(renamed['head_dist.bias'], LeftAside)
    assert renamed['blocks.0.ls1.gamma'] is None
    assert detect_style(['blocks.0.attn.qkv.weight', 'blocks.0.gamma_1']) == 'beit'
