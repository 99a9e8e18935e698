"""Audit of compiled graphs: whether a card has each operator, in its type, rank and number."""

from __future__ import annotations

import inspect
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from msseg.apis.build import build_model, build_train_step
from msseg.apis.train_settings import StepSettings
from msseg.config import Config
from msseg.models import InferenceSegmentor
from msseg.models.segmentors.outputs import leaves_size_open
from msseg.utils.cli import one_line
from msseg.utils.target import ASCEND_910A, CHIPS, Target, assume_target

# mind_ir.proto: TensorProto.DataType
_TYPES = {1: 'float32', 2: 'uint8', 3: 'int8', 4: 'uint16', 5: 'int16', 6: 'int32', 7: 'int64',
          8: 'string', 9: 'bool', 10: 'float16', 11: 'float64', 12: 'uint32', 13: 'uint64',
          14: 'complex64', 15: 'complex128', 16: 'bfloat16'}  # fmt: skip
# They order, wrap and choose among other nodes, and no device computes them.
_STRUCTURE = ('MakeTuple', 'TupleGetItem', 'Depend', 'Load', 'UpdateState', 'Partial', 'Constant',
              'MakeList', 'Return')  # fmt: skip
_HOST_FUNCTIONS = ('Custom', 'PyFunc', 'PyExecute', 'PyInterpret')
# CANN's Pack takes 63 operands, 32 in the kernels that are not compiled on the spot; Concat and
# AddN are split by MindSpore's passes from 63 on, in some of its modes.
_MOST_OPERANDS = {'Stack': 32, 'Concat': 63, 'AddN': 63}
_MOST_DIMENSIONS = 8
_PLATFORMS = re.compile(r'Supported Platforms:\s*\n\s*(.*)')
_REFERENCE = re.compile(r'Refer to :func:`mindspore\.(?:ops|mint)\.(\w+)`')
_GRADIENT = re.compile(r'(Backprop|Backward|Grad)\w*$')


@dataclass(frozen=True)
class Operator:
    """An operator of a compiled graph.

    Attributes:
        name: MindSpore's name of the primitive.
        types: Types of its operands and results.
        rank: The largest number of dimensions among them.
        operands: Their number; the elements of a tuple count.
        is_dynamic: Whether a shape is open until the graph runs.
        scope: The cells around it, from the outermost: (name, class) each.
    """

    name: str
    types: frozenset[str]
    rank: int
    operands: int
    is_dynamic: bool
    scope: tuple[tuple[str, str], ...]


class Fault(NamedTuple):
    """A kind of operator that a device does not run, or runs wrongly or slowly.

    Attributes:
        problem: What is wrong.
        operator: The primitive.
        place: File and class, and the place in the model.
    """

    problem: str
    operator: str
    place: str


class Allowance(NamedTuple):
    """A fault that is none: the problem's first words, the operator, the cell's class, and why."""

    problem: str
    operator: str
    cell: str
    reason: str


ALLOWANCES: tuple[Allowance, ...] = (
    Allowance(
        'control flow', 'Switch', 'TrainStep',
        'a step is skipped or done, by one plain Switch as in nn.TrainOneStepWithLossScaleCell',
    ),
    Allowance(
        'float64', '*', 'RegionInformation',
        'GPUs have kernels of float64, which are slow; the covariances are small',
    ),
    Allowance(
        'float64', '*', 'GramMatrix',
        'GPUs have kernels of float64, which are slow; the covariances are small',
    ),
)  # fmt: skip


def check_operators(cfg: Config, device: str, size: tuple[int, int]) -> Counter[Fault]:
    """Compile what a config trains and predicts with as for a card, and look for faults.

    For Ascend that is done for the newer chips and for 910A, which sinks whole graphs.

    Args:
        cfg: The config, already checked.
        device: ``'Ascend'`` or ``'GPU'``; it need not be there.
        size: (h, w) of the images.

    Returns:
        The faults, and how often each occurs.
    """
    found: Counter[Fault] = Counter()
    for chip in (CHIPS[1], ASCEND_910A) if device == 'Ascend' else ('',):
        with assume_target(device, chip) as target:
            try:
                model = build_model(cfg)
                own = audit(model, StepSettings.of(cfg), target, size)
            except ValueError as error:
                own = Counter({Fault(f'refused on {chip or device}', one_line(error), 'config'): 1})
        found |= own
    return found


def audit(
    model: nn.Cell, settings: StepSettings, target: Target, size: tuple[int, int]
) -> Counter[Fault]:
    """Return the faults of a model's training step and prediction on an assumed target.

    Args:
        model: The segmentor, built under `assume_target`.
        settings: Of its training step.
        target: What is assumed.
        size: (h, w) of the images.
    """
    step = build_train_step(model, settings)
    img = ms.Tensor(np.zeros((2, model.in_channels, *size), np.float32))
    labels = ms.Tensor(np.zeros((2, *size), np.int32))
    more = [ms.Tensor(True)] if settings.cumulative_iters > 1 else []
    found = find_faults(list_operators(step, img, labels, *more), target, step)
    predict = InferenceSegmentor(model, 'labels')
    if leaves_size_open(model):
        img = ms.Tensor(shape=[None, model.in_channels, None, None], dtype=ms.float32)
    return found | find_faults(list_operators(predict, img), target, predict)


def format_faults(found: Mapping[str, Counter[Fault]]) -> str:
    """Return the faults by device as text, the same in another place on one line."""
    lines = []
    for device, faults in found.items():
        lines.append(f'{device}: {"nothing found" if not faults else f"{len(faults)} findings"}')
        for fault, count in sorted(faults.items()):
            times = f' ({count} times)' if count > 1 else ''
            lines.append(f'  {fault.operator}: {fault.problem}; in {fault.place}{times}')
    return '\n'.join(lines)


def list_operators(network: nn.Cell, *inputs: ms.Tensor) -> list[Operator]:
    """Compile a network without running it, and return its operators.

    Args:
        network: A cell.
        *inputs: What it takes; their shapes may be open.
    """
    protos: list[Any] = []

    def keep(model: Any) -> None:
        protos.append(type(model)())
        protos[0].CopyFrom(model)
        del model.graph.parameter[:]  # the file with the weights is not needed

    with tempfile.TemporaryDirectory(prefix='msseg-') as folder:
        file = str(Path(folder) / 'graph.mindir')
        ms.export(network, *inputs, file_name=file, file_format='MINDIR', custom_func=keep)
    return list(_read(protos[0]))


def _read(model: Any) -> Iterator[Operator]:
    names = {each.name: each.op_type for each in model.primitives}
    graphs = [model.graph, *model.functions]
    tensors = {}
    elements = {}
    for graph in graphs:
        for parameter in graph.parameter:
            tensors[parameter.name] = [parameter]
        for value in graph.input:
            tensors[value.name] = list(value.tensor)
        for node in graph.node:
            tensors[node.output[0]] = [
                tensor
                for attribute in node.attribute
                if attribute.name == 'shape' or node.op_type == 'Constant'
                for tensor in _tensors(attribute)
            ]
            if names.get(node.op_type.removeprefix('REF::')) in ('MakeTuple', 'MakeList'):
                elements[node.output[0]] = list(node.input)
    for graph in graphs:
        for node in graph.node:
            name = names.get(node.op_type.removeprefix('REF::'))
            if name is None or name in _STRUCTURE:
                continue
            operands = [part for each in node.input for part in elements.get(each, [each])]
            around = [*operands, node.output[0]]
            taken = [tensor for each in around for tensor in tensors.get(each, ())]
            shapes = [tuple(tensor.dims) for tensor in taken]
            yield Operator(
                name,
                frozenset(_TYPES.get(tensor.data_type, '?') for tensor in taken),
                max(map(len, shapes), default=0),
                sum(max(1, len(tensors.get(each, ()))) for each in operands),  # or a tuple
                any(length < 0 for shape in shapes for length in shape),
                _scope(node.domain),
            )


def _tensors(attribute: Any) -> list[Any]:
    """Return the tensors of an ``AttributeProto``, also those inside of tuples."""
    own = [*attribute.tensors, *([attribute.t] if attribute.t.dims else [])]
    return own + [tensor for value in attribute.values for tensor in _tensors(value)]


def _scope(domain: str) -> tuple[tuple[str, str], ...]:
    """Return the cells of ``Gradients/Default/net-Network/layer-Conv2d/Grad_Add/Add-op0``."""
    parts = [part.partition('-') for part in domain.split('/')[:-1]]
    return tuple((name, cell) for name, dash, cell in parts if dash)


def find_faults(operators: Iterable[Operator], target: Target, root: nn.Cell) -> Counter[Fault]:
    """Return what a device does not do well, and how often; exceptions are left out.

    Args:
        operators: The operators of a graph that was compiled for it.
        target: The device.
        root: The network, whose classes' files are named.
    """
    files = {type(cell).__name__: _file_of(type(cell)) for _, cell in root.cells_and_names()}
    found: Counter[Fault] = Counter()
    for operator in operators:
        cell = operator.scope[-1][1] if operator.scope else type(root).__name__
        for problem in _problems(operator, target):
            if not any(
                problem.startswith(each.problem)
                and each.operator in ('*', operator.name)
                and each.cell == cell
                for each in ALLOWANCES
            ):
                path = '.'.join(name for name, _ in operator.scope)
                place = f'{files.get(cell, "")} {cell} ({path or "the whole"})'.strip()
                found[Fault(problem, operator.name, place)] += 1
    return found


def _problems(operator: Operator, target: Target) -> Iterator[str]:
    name, device = operator.name, target.name
    if name in _HOST_FUNCTIONS:
        yield 'a function of Python inside the graph, which runs on the CPU alone'
        return
    if name in ('Switch', 'SwitchLayer'):
        if target.sinks_graphs:
            yield 'control flow at run time, where the device sinks graphs'
        return
    if name in _OF_SHAPES or name.startswith(('Scalar', 'scalar', 'Sequence', 'tuple_')):
        if target.sinks_graphs and name != 'Shape':
            yield 'computed on the host from a size, where the device sinks graphs'
        return
    platforms = documented_platforms(name)
    if platforms is None and name not in COMPOSED:
        yield 'no documentation of the platforms'
    elif platforms is not None and device not in platforms and name not in COMPOSED:
        yield f'documented for {", ".join(sorted(platforms)) or "no device"} alone'
    for kind in ('float64', 'complex64', 'complex128'):
        if kind in operator.types:
            yield f'{kind}, which {device} does not have or computes slowly'
    if target.chip == ASCEND_910A and 'bfloat16' in operator.types:
        yield 'bfloat16, which Ascend 910A does not have'
    if device == 'Ascend' and name == 'Sort' and 'float32' in operator.types:
        yield 'float32 sorted, which is documented to lose accuracy'
    most = _MOST_OPERANDS.get(name)
    if most is not None and operator.operands > most:
        yield f'{operator.operands} operands, more than {most}'
    if operator.rank > _MOST_DIMENSIONS:
        yield f'{operator.rank} dimensions, more than {_MOST_DIMENSIONS}'
    if operator.is_dynamic and target.sinks_graphs:
        yield 'a shape that is open, where the device sinks graphs'


# Primitives that MindSpore does not document: what they are, and why they run on cards.
COMPOSED: dict[str, str] = dict.fromkeys(
    (
        'Muls', 'SumExt', 'ZerosLikeExt', 'OnesLikeExt', 'RemainderTensorScalar',
        'RemainderTensorTensor', 'PowTensorScalar', 'MatMulExt', 'BatchMatMulExt', 'FloorDiv',
        'FillScalar', 'FillTensor', 'SoftmaxExt', 'StackExt', 'MeanExt', 'AddExt', 'SubExt',
        'DivMod', 'Divs',
    ),
    'an operator of Ascend, composed of others where a device has no kernel (as on the CPU)',
)  # fmt: skip
COMPOSED |= dict.fromkeys(
    ('ResizeBilinearGrad', 'ReluGrad', 'SplitWithSize', 'SliceGrad', 'TensorMove'),
    'made by the derivation of gradients, of operators that are documented',
)
# Computed on the host from sizes that are open, and only there.
_OF_SHAPES = frozenset({
    'sequence_len', 'SequenceSlice', 'JoinedStr', 'raise', 'BoolNot', 'Shape', 'TensorShape',
    'DynamicShape', 'MakeSlice',
})  # fmt: skip


@cache
def documented_platforms(primitive: str) -> frozenset[str] | None:
    """Return the devices for which MindSpore documents an operator; None without documentation.

    Gradients have none of their own, and are taken to be where their operators are.
    """
    for module in (ops.auto_generate, ops.operations, ops.operations.nn_ops, ops):
        entry = getattr(module, primitive, None)
        text = inspect.getdoc(entry) or ''
        found = _platforms_of(text)
        if found is not None:
            return found
    forward = _GRADIENT.sub('', primitive)
    return documented_platforms(forward) if forward and forward != primitive else None


def _platforms_of(text: str) -> frozenset[str] | None:
    listed = _PLATFORMS.search(text)
    if listed:
        named = frozenset(re.findall(r'``(\w+)``', listed.group(1)))
        return named or None  # or it is deprecated, and documented no more
    reference = _REFERENCE.search(text)
    for module in (ops, ms.mint, ops.auto_generate) if reference else ():
        target = getattr(module, reference.group(1), None)
        listed = _PLATFORMS.search(inspect.getdoc(target) or '')
        if listed:
            return frozenset(re.findall(r'``(\w+)``', listed.group(1)))
    return None


def _file_of(cls: type) -> str:
    file = Path(inspect.getfile(cls))
    package = Path(__file__).parents[1]
    # an environment may lie in the clone as well
    return str(file.relative_to(package.parent)) if package in file.parents else file.name
