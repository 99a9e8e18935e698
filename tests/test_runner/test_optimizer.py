import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.apis.config_schema import get_schema
from msseg.config import Config
from msseg.config.checking import find_problems
from msseg.runner import OPTIMIZER_CONSTRUCTORS, GradClip, TrainStep, build_optimizer
from msseg.runner.loss_scaler import build_loss_scaler
from msseg.runner.optimizer import get_lr, named_parameters, set_lr
from tests.test_runner.line_model import Line, LineLoss, Loader

NAMES = ('dense.weight', 'dense.bias', 'bn.gamma', 'bn.beta')


def gradients(values, img, gt):
    """Gradients of the mean of ((x W' + b) gamma + beta) gt, by hand."""
    weight, bias, gamma, _ = values
    upstream = gt.astype(np.float64) / gt.size
    output = img @ weight.T + bias
    return [
        (upstream * gamma).T @ img,
        (upstream * gamma).sum(0),
        (upstream * output).sum(0),
        upstream.sum(0),
    ]


def sgd(lr, decay, momentum=0.9, nesterov=False):
    def update(value, grad, state, step):
        grad = grad + decay * value
        state['v'] = grad if step == 1 else momentum * state['v'] + grad
        return value - lr * (grad + momentum * state['v'] if nesterov else state['v'])

    return update


def adam(lr, decay, decoupled, betas=(0.9, 0.99), eps=1e-8):
    def update(value, grad, state, step):
        if decoupled:
            value = value * (1 - lr * decay)
        else:
            grad = grad + decay * value
        state['m'] = betas[0] * state.get('m', 0) + (1 - betas[0]) * grad
        state['v'] = betas[1] * state.get('v', 0) + (1 - betas[1]) * grad**2
        m = state['m'] / (1 - betas[0] ** step)
        v = state['v'] / (1 - betas[1] ** step)
        return value - lr * m / (np.sqrt(v) + eps)

    return update


def train(optimizer, clip=None, steps=10, loss_scaler=None):
    """Return the parameters after some steps, and what the first step reported."""
    model = Line()
    step = TrainStep(LineLoss(model), build_optimizer(model, optimizer), clip, loss_scaler)
    parameters = dict(model.parameters_and_names())
    first = None
    for index, batch in zip(range(steps), Loader().batches(), strict=False):
        outputs = step(ms.Tensor(batch.img), ms.Tensor(batch.gt))
        if index == 0:
            first = dict(zip(step.value_names, outputs, strict=True))
    return [parameters[name].asnumpy() for name in NAMES], first


def expected(updates, max_norm=None, steps=10):
    model = Line()
    parameters = dict(model.parameters_and_names())
    values = [parameters[name].asnumpy().astype(np.float64) for name in NAMES]
    states = [{} for _ in NAMES]
    for index, batch in zip(range(steps), Loader().batches(), strict=False):
        grads = gradients(values, batch.img, batch.gt)
        if max_norm is not None:
            norm = np.sqrt(sum((grad**2).sum() for grad in grads))
            grads = [grad * min(1, max_norm / (norm + 1e-6)) for grad in grads]
        values = [
            update(value, grad, state, index + 1)
            for update, value, grad, state in zip(updates, values, grads, states, strict=True)
        ]
    return values


@pytest.mark.parametrize(
    ('optimizer', 'update'),
    [
        ({'type': 'SGD', 'momentum': 0.9}, sgd(0.1, 0.1)),
        ({'type': 'SGD', 'momentum': 0.9, 'nesterov': True}, sgd(0.1, 0.1, nesterov=True)),
        ({'type': 'Adam', 'betas': [0.9, 0.99]}, adam(0.1, 0.1, decoupled=False)),
        ({'type': 'AdamW', 'betas': (0.9, 0.99)}, adam(0.1, 0.1, decoupled=True)),
    ],
    ids=['SGD', 'Nesterov', 'Adam', 'AdamW'],
)
def test_ten_steps_follow_the_formula(optimizer, update):
    actual, _ = train({**optimizer, 'lr': 0.1, 'weight_decay': 0.1})
    for name, a, e in zip(NAMES, actual, expected([update] * 4), strict=True):
        np.testing.assert_allclose(a, e, rtol=2e-5, atol=2e-6, err_msg=name)


# The weights after ten steps of PyTorch 2.13's AdamW in float32 (our own measurement): see below.
PYTORCH_ADAMW = {
    False: [
        [0.10558547, -0.16541119, 0.6554231, 0.12728776, -0.55655169, 0.3550595],
        [-2.3176692, -0.32183257, -1.0975217, -0.65261942],
        [-0.54410386, -0.31616983, 0.41177112, 1.0424962, -0.12850921, 1.3663158],
    ],
    True: [
        [0.10558547, -0.16541119, 0.65542185, 0.12728776, -0.55655086, 0.35505933],
        [-2.3176692, -0.32183084, -1.0975217, -0.65261942],
        [-0.54410386, -0.31616983, 0.41177112, 1.0424962, -0.12850921, 1.3663158],
    ],
}


@pytest.mark.parametrize('amsgrad', [False, True])
def test_ten_steps_of_adamw_are_those_of_pytorch(amsgrad):
    """Groups of their own rate and decay, a schedule with warmup, and gradients as small as eps."""
    rng, shapes = np.random.default_rng(0), [(3, 4), (4,), (2, 3)]
    network = nn.Cell()
    for name, shape in zip('abc', shapes, strict=True):
        network.insert_param_to_cell(
            name, ms.Parameter(ms.Tensor(rng.standard_normal(shape), ms.float32), name)
        )
    keys = {'b': {'lr_mult': 10.0, 'decay_mult': 0.0}, 'c': {'lr_mult': 0.1}}
    cfg = dict(type='AdamW', lr=0.01, betas=(0.9, 0.999), weight_decay=0.05, amsgrad=amsgrad)
    optimizer = build_optimizer(network, dict(cfg, paramwise_cfg=dict(custom_keys=keys)))
    rng = np.random.default_rng(1)
    for step in range(10):
        factor = (step + 1) / 5 if step < 4 else 1 - step / 10
        set_lr(optimizer, [lr * factor for lr in optimizer.base_lrs])
        drawn = [rng.standard_normal(shape) for shape in shapes]
        scaled = zip(drawn, (1.0, 1e-3, 1e-9), strict=True)
        optimizer(tuple(ms.Tensor(each * scale, ms.float32) for each, scale in scaled))
    for parameter, wanted in zip(network.get_parameters(), PYTORCH_ADAMW[amsgrad], strict=True):
        got = parameter.asnumpy().ravel()[:6]
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5, err_msg=parameter.name)


@pytest.mark.parametrize(('kind', 'decay'), [('AdamW', 0.01), ('Adam', 0.0), ('SGD', 0.0)])
def test_the_default_weight_decay_is_that_of_pytorchs_optimizer(kind, decay):
    keys = {'bias': {'decay_mult': 0.5}}
    cfg = dict(type=kind, lr=0.1, paramwise_cfg=dict(custom_keys=keys))
    groups = build_optimizer(nn.Dense(2, 2), cfg).param_groups
    assert [group['weight_decay'] for group in groups] == pytest.approx(
        [decay, 0.5 * decay] if decay else [0.0]
    )


# The scale of 10 is that of the old scripts, which never undid it.
@pytest.mark.parametrize(
    'loss_scale',
    [None, 10.0, {'init_scale': 2.0**10, 'growth_interval': 3}],
    ids=['no scale', 'fixed scale', 'dynamic scale'],
)
def test_multipliers_clipping_and_scale_follow_the_formula(loss_scale):
    optimizer = {
        'type': 'SGD',
        'lr': 0.1,
        'momentum': 0.9,
        'weight_decay': 0.1,
        'paramwise_cfg': {
            'custom_keys': {'dense': {'lr_mult': 3.0}, 'dense.bias': {'decay_mult': 0.5}},
            'norm_decay_mult': 0.0,
        },
    }
    scaler = None if loss_scale is None else build_loss_scaler(loss_scale)
    actual, first = train(optimizer, GradClip(max_norm=0.05), loss_scaler=scaler)
    # The longer key counts alone: dense.bias has the learning rate of the config.
    updates = [sgd(0.3, 0.1), sgd(0.1, 0.05), sgd(0.1, 0.0), sgd(0.1, 0.0)]
    for name, a, e in zip(NAMES, actual, expected(updates, max_norm=0.05), strict=True):
        np.testing.assert_allclose(a, e, rtol=2e-5, atol=2e-6, err_msg=name)
    batch = next(Loader().batches())
    values = expected(updates, steps=0)
    norm = np.sqrt(sum((grad**2).sum() for grad in gradients(values, batch.img, batch.gt)))
    assert float(first['grad_norm'].asnumpy()) == pytest.approx(norm, rel=1e-5)
    if isinstance(loss_scale, dict):
        assert float(scaler.scale.asnumpy()) == 2.0**13  # it grew three times on the way


@pytest.mark.parametrize('loss_scale', [10.0, 'dynamic'])
def test_a_loss_scale_changes_no_update(loss_scale):
    """Without clipping, which would hide a common factor on all gradients."""
    optimizer = {'type': 'SGD', 'lr': 0.1, 'momentum': 0.9, 'weight_decay': 0.1}
    actual, _ = train(optimizer, loss_scaler=build_loss_scaler(loss_scale))
    for name, a, e in zip(NAMES, actual, expected([sgd(0.1, 0.1)] * 4), strict=True):
        np.testing.assert_allclose(a, e, rtol=2e-5, atol=2e-6, err_msg=name)


@pytest.mark.parametrize('norm_type', [1, 3, float('inf')])
def test_other_norms(norm_type):
    grads = (np.array([3.0, -4.0], np.float32), np.array([[1.0]], np.float32))
    clip = GradClip(max_norm=1.0, norm_type=norm_type)
    tensors = tuple(ms.Tensor(grad) for grad in grads)
    norm = clip.norm(tensors)
    clipped = clip(tensors, norm)
    expected_norm = np.linalg.norm([3, 4, 1], norm_type)
    assert float(norm.asnumpy()) == pytest.approx(expected_norm, rel=1e-5)
    np.testing.assert_allclose(clipped[0].asnumpy(), grads[0] / expected_norm, rtol=1e-5)


def test_small_gradients_are_not_scaled_up():
    clip, grads = GradClip(max_norm=10.0), (ms.Tensor(np.array([3.0, 4.0], np.float32)),)
    clipped = clip(grads, clip.norm(grads))
    np.testing.assert_array_equal(clipped[0].asnumpy(), [3, 4])


def test_a_key_of_mmsegmentation_that_has_no_effect_is_reported(caplog):
    """wd_mult in the config files of DNLNet, which MMCV does not read."""
    cfg = dict(type='SGD', lr=0.1, weight_decay=0.1)
    keys = {'weight': dict(wd_mult=0.0, lr_mult=2.0)}
    optimizer = build_optimizer(nn.Dense(2, 2), dict(cfg, paramwise_cfg=dict(custom_keys=keys)))
    assert [group['weight_decay'] for group in optimizer.param_groups] == [0.1, 0.1]
    assert get_lr(optimizer) == pytest.approx([0.2, 0.1])
    assert 'wd_mult has no effect' in caplog.text and 'decay_mult' in caplog.text


def test_set_and_get_lr():
    paramwise = {'bias_lr_mult': 2.0}
    cfg = {'type': 'SGD', 'lr': 0.1, 'paramwise_cfg': paramwise}
    optimizer = build_optimizer(Line(), cfg)
    assert sorted(get_lr(optimizer)) == pytest.approx([0.1, 0.2])
    set_lr(optimizer, [0.5, 0.25])
    assert get_lr(optimizer) == [0.5, 0.25]
    # schedules compute from these
    assert [type(lr) for lr in optimizer.base_lrs] == [float, float]
    assert sorted(optimizer.base_lrs) == pytest.approx([0.1, 0.2])


def test_frozen_parameters_are_left_out():
    model = Line()
    model.bn.gamma.requires_grad = False
    optimizer = build_optimizer(model, {'type': 'SGD', 'lr': 0.1})
    assert {p.name for p in optimizer.parameters} == {'dense.weight', 'dense.bias', 'bn.beta'}


@pytest.mark.parametrize(
    ('cfg', 'error', 'message'),
    [
        ({'type': 'SGD'}, ValueError, "optimizer: 'lr' is missing"),
        ({'type': 'SDG', 'lr': 1}, KeyError, "Did you mean 'SGD'"),
        ({'type': 'SGD', 'lr': 1, 'momentun': 0}, TypeError, "Did you mean 'momentum'"),
        (
            {'type': 'SGD', 'lr': 1, 'paramwise_cfg': {'custom_key': {}}},
            TypeError,
            "Did you mean 'custom_keys'",
        ),
        (
            {'type': 'SGD', 'lr': 1, 'paramwise_cfg': {'custom_keys': {'a': {'lr_mul': 1}}}},
            TypeError,
            "Did you mean 'lr_mult'",
        ),
        (
            {'type': 'SGD', 'lr': 1, 'paramwise_cfg': {'custom_keys': {'a': {'lr_mult': -1}}}},
            ValueError,
            'lr_mult is -1, expected a number of at least 0',
        ),
        ({'type': 'SGD', 'lr': float('nan')}, ValueError, 'optimizer: lr is nan'),
        ({'type': 'SGD', 'lr': 10**400}, ValueError, 'optimizer: lr is <a whole number'),
        ({'type': 'SGD', 'lr': 1, 'momentum': 2}, ValueError, 'momentum is 2, expected .* below 1'),
        ({'type': 'AdamW', 'betas': (0.9,)}, ValueError, "'lr' is missing"),
        ({'type': 'AdamW', 'lr': 1, 'betas': (0.9,)}, ValueError, r'betas is \(0.9,\), expected 2'),
    ],
)
def test_wrong_optimizers(cfg, error, message):
    with pytest.raises(error, match=message):
        build_optimizer(Line(), cfg)


@pytest.mark.parametrize('arguments', [{'max_norm': 0}, {'max_norm': 1, 'norm_type': -2}])
def test_wrong_clipping(arguments):
    with pytest.raises(ValueError, match='expected a number above 0'):
        GradClip(**arguments)


class TestConstructorsOfUsers:
    @pytest.fixture(autouse=True)
    def own(self, monkeypatch):
        class FirstHalf:
            """Half the rate for the first convolution, no decay anywhere."""

            def __init__(self, factor=0.5):
                self.factor = factor

            def multipliers(self, model):
                for name, _, parameter in named_parameters(model):
                    yield parameter, self.factor if name.startswith('0.') else 1.0, 0.0

        monkeypatch.setitem(OPTIMIZER_CONSTRUCTORS.module_dict, 'FirstHalf', FirstHalf)

    def test_say_the_factors(self):
        network = nn.SequentialCell(nn.Dense(2, 2), nn.Dense(2, 2))
        cfg = {'type': 'SGD', 'lr': 0.8, 'weight_decay': 1.0, 'constructor': 'FirstHalf'}
        optimizer = build_optimizer(network, {**cfg, 'paramwise_cfg': {'factor': 0.25}})
        assert get_lr(optimizer) == pytest.approx([0.2, 0.8])
        assert [len(group['params']) for group in optimizer.param_groups] == [2, 2]

    def test_misspelt_arguments_and_names_are_told(self):
        network = nn.Dense(2, 2)
        cfg = {'type': 'SGD', 'lr': 0.8, 'constructor': 'FirstHalf'}
        with pytest.raises(TypeError, match="FirstHalf takes no argument 'faktor'.*'factor'"):
            build_optimizer(network, {**cfg, 'paramwise_cfg': {'faktor': 0.25}})
        with pytest.raises(KeyError, match="Did you mean 'FirstHalf'"):
            build_optimizer(network, {**cfg, 'constructor': 'FirstHalv'})

    def test_the_config_is_checked_by_them(self):
        schema, node = get_schema(), {'type': 'SGD', 'lr': 0.8, 'constructor': 'FirstHalf'}
        good = Config({'optimizer': {**node, 'paramwise_cfg': {'factor': 0.25}}})
        bad = Config({'optimizer': {**node, 'paramwise_cfg': {'norm_decay_mult': 0.0}}})
        assert list(find_problems(good, schema)) == []
        assert "FirstHalf takes no 'norm_decay_mult'" in str(next(find_problems(bad, schema)).error)
