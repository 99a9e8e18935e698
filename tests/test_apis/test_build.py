"""What a config's parts say of each other before training."""

from types import SimpleNamespace

import pytest

from msseg.apis.build import build_split, check_classes, check_ignore_index
from msseg.config import Config
from tests.test_datasets.data_folder import config, write_images


def model_of(head_value, **losses):
    parts = [type(name, (), {'ignore_index': value})() for name, value in losses.items()]
    head = SimpleNamespace(ignore_index=head_value, num_classes=3, loss_decode=parts)
    return SimpleNamespace(heads=[('decode', head)])


@pytest.mark.parametrize(
    ('model', 'message'),
    [
        (model_of(255), "head 'decode' has ignore_index=255, but .* has -1"),
        (model_of(None), 'ignore_index=None'),
        (model_of(-1, Dice=255), "Dice of head 'decode' has ignore_index=255"),
    ],
)
def test_heads_and_losses_leave_out_what_the_data_set_does(model, message):
    with pytest.raises(ValueError, match=message):
        check_ignore_index(model, SimpleNamespace(ignore_index=-1))


def test_a_loss_may_leave_out_a_class():
    check_ignore_index(model_of(-1, Dice=2, Tversky=-1), SimpleNamespace(ignore_index=-1))
    check_ignore_index(model_of(None), SimpleNamespace())
    with pytest.raises(ValueError, match="Dice of head 'decode' has ignore_index=99"):
        check_ignore_index(model_of(-1, Dice=99, Tversky=-1), SimpleNamespace(ignore_index=-1))


def test_a_head_with_a_target_of_its_own_needs_no_class_for_each_of_the_labels():
    dataset = SimpleNamespace(CLASSES=('a', 'b', 'c'), PALETTE=None)
    edges = SimpleNamespace(num_classes=2, has_own_target=True)
    model = SimpleNamespace(heads=[('decode', SimpleNamespace(num_classes=3)), ('aux', edges)])
    check_classes(model, dataset)
    edges.has_own_target = False
    with pytest.raises(ValueError, match="head 'aux' has num_classes=2"):
        check_classes(model, dataset)


def test_names_of_a_data_set_of_any_kind_must_tell_its_classes_apart():
    dataset = SimpleNamespace(CLASSES=('a', 'a'), PALETTE=None)
    with pytest.raises(ValueError, match="SimpleNamespace: the name of class 1 is 'a', the same"):
        check_classes(SimpleNamespace(heads=[]), dataset)


@pytest.mark.parametrize('split', ['train', 'val'])
def test_a_data_set_without_classes_is_refused(tmp_path, split):
    write_images(tmp_path, 1)
    node = {k: v for k, v in config(tmp_path).items() if k != 'classes'}
    with pytest.raises(ValueError, match=f'^data.{split}: CustomDataset: the classes are unknown'):
        build_split(Config({'data': {split: dict(node, type='CustomDataset')}}), split)
