"""The frame of every command line: users' mistakes end in one line and exit status 1."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from msseg.utils.device_name import DEVICE_HELP
from msseg.utils.foreign_imports import explain_foreign_import
from msseg.utils.say import STDERR, say
from msseg.utils.shown import shorten, shown
from msseg.utils.suggest import did_you_mean
from msseg.utils.user_code import describe_error
from msseg.version import __version__

DOWNLOAD_VARIABLE = 'MSSEG_DOWNLOAD'  # 1 lets `msseg.weights` fetch files
CONFIG_ENDINGS = ('.py', '.json', '.yaml', '.yml')
# The package's exceptions for users' mistakes (OSError covers missing and unwritable files).
USER_ERRORS = (ValueError, KeyError, TypeError, OSError, ImportError, FloatingPointError)
_MAX_LINE = 800
_CALL_STACK = '\n----'  # MindSpore's line before the stacks of its own code
# Read at import: MindSpore's compiler logs its errors' messages again, in some 70 lines, and
# OpenCV writes a line about files that are reported here.
QUIET = {'MS_SUBMODULE_LOG_v': '{ANALYZER:4,COMMON:3}', 'OPENCV_LOG_LEVEL': 'FATAL'}
# Options of MMSegmentation, and of forms and scripts for ModelArts, and the ones here.
_SAME = {
    '--options': '--cfg-options',
    '--gpu-id': '--device-id',
    '--gpu-ids': '--device-id',
    '--output-dir': '--out',
    '--tta': '--aug-test',
    '--ckpt-url': '--checkpoint-url',
    '--result-url': '--train-url',
    '--device-target': '--device',
}
# Such options that need nothing here: the number of their values, and an option of the
# tool here that had them there.
_NEEDLESS = {
    '--gpu-collect': (0, '--aug-test'),
    '--tmpdir': (1, '--aug-test'),
    '--not-show': (0, '--draws'),
    '--num-gpus': (1, '--modelarts'),
}
_CARDS = ('--gpu-ids', '--gpus')
_SCRIPTS = 'msseg dist train CONFIG N or msseg dist test CONFIG CHECKPOINT N'


class CommandParser(argparse.ArgumentParser):
    """A parser of a command line whose errors are one line with a suggestion.

    Plain `argparse` prints the usage before each error and suggests nothing.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._known: list[str] = []
        self._commands: Any = None
        if not args:
            kwargs.setdefault('prog', program_name())
        super().__init__(*args, **kwargs)

    def add_argument(self, *names: str, **kwargs: Any) -> argparse.Action:
        self._known += [name for name in names if name.startswith('--')]
        return super().add_argument(*names, **kwargs)

    def add_subparsers(self, **kwargs: Any) -> Any:
        self._commands = super().add_subparsers(**kwargs)
        return self._commands

    def parse_args(
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> argparse.Namespace:
        return self._without_rest(*self.parse_known_args(self._renamed(args), namespace))

    def parse_intermixed_args(
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> argparse.Namespace:
        args = self._renamed(args)
        return self._without_rest(*self.parse_known_intermixed_args(args, namespace))

    def _renamed(self, args: Sequence[str] | None) -> list[str]:
        """Return the arguments with MMSegmentation's spellings replaced, each with a note."""
        rest = list(sys.argv[1:] if args is None else args)
        done: list[str] = []
        while rest and rest[0] != '--':
            word = rest.pop(0)
            name, equals, value = word.partition('=')
            plain = name.replace('_', '-')
            new = plain if plain in self._known else _SAME.get(plain)
            num_values, marker = _NEEDLESS.get(plain, (0, None))
            if not name.startswith('--') or name in self._known:
                done.append(word)
            elif plain in _CARDS and '--device-id' in self._known and self._is_many(plain, rest):
                self.error(f'{name}: for several cards use {_SCRIPTS}')
            elif new in self._known:
                say(f'note: {name} is {new} here', STDERR)
                done.append(f'{new}{equals}{value}')
            elif marker in self._known:
                say(f'note: {name} has no effect: it is not needed here', STDERR)
                del rest[: 0 if equals else num_values]
            else:
                done.append(word)
        return done + rest

    @staticmethod
    def _is_many(name: str, rest: Sequence[str]) -> bool:
        return name == '--gpus' or all(word.isdecimal() for word in rest[:2]) and len(rest) > 1

    def _without_rest(self, known: argparse.Namespace, rest: list[str]) -> argparse.Namespace:
        if rest:
            hint = self._hint(rest[0].partition('=')[0])
            self.error(f'unrecognized argument {shown(rest[0])}.{hint}')
        return known

    def _hint(self, name: str) -> str:
        plain = name.replace('_', '-').lower()
        if not name.startswith('-'):
            return ' A value with spaces needs quotes.'
        commands = self._commands.choices.values() if self._commands else ()
        known = [*self._known, *(name for command in commands for name in command._known)]
        return did_you_mean(f'--{plain.lstrip("-")}', known)

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        line = shorten(message, _MAX_LINE)
        self.exit(2, f'{self.prog}: error: {line} (--help lists the options)\n')


def program_name() -> str:
    """Return what a user typed to start this command, such as ``msseg train`` or ``train.py``."""
    path = Path(sys.argv[0])
    is_module = path.name == '__main__.py' and path.parent.name == 'msseg'
    words = ['msseg' if is_module else path.name]
    if is_module or path.stem == 'msseg':
        rest = [word for word in sys.argv[1:] if word != 'help']
        words += rest[: 2 if rest[:1] == ['convert-dataset'] else 1]
    return ' '.join(word for word in words if not word.startswith('-'))


def run_main(main: Callable[[], Any]) -> None:
    """Run a command line's `main` and end the process.

    The exit status is what `main` returns, 0 for None; 1 after a user's mistake or an error in a
    user's own code (one line on stderr, and the traceback if the environment variable
    ``MSSEG_DEBUG`` is ``1``); 130 after Ctrl-C. Any other exception is a bug of ours and keeps its
    traceback. A user's component that ends the program with any status is an error as well: the
    work is not done.

    Args:
        main: The command, which takes no arguments.
    """
    is_debugging = os.environ.get('MSSEG_DEBUG') == '1'
    if not is_debugging:
        for variable, level in QUIET.items():
            os.environ.setdefault(variable, level)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files need not be UTF-8
            stream.reconfigure(errors='backslashreplace')
    try:
        status = main()
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        sys.exit(130)
    except BaseException as error:  # SystemExit too, which a user's component may raise
        of_user = describe_error(error)
        if is_debugging or not (of_user or isinstance(error, USER_ERRORS)):
            raise
        message = explain_foreign_import(error) or of_user
        line = shorten(message, _MAX_LINE) if message else one_line(error)
        print(f'error: {line}', file=sys.stderr)
        sys.exit(1)
    if status:
        sys.exit(status)


def announce(action: str) -> None:
    """Write on a terminal what begins, such as ``'training CONFIG'``, before slow imports."""
    if sys.stdout.isatty():
        say(f'msseg {__version__}: {action}')


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--device`` and ``--device-id``."""
    parser.add_argument('--device', default='auto', help=DEVICE_HELP)
    parser.add_argument('--device-id', type=int, help='number of the card')


def add_download_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--download``; obey it with `allow_download`."""
    parser.add_argument(
        '--download',
        action='store_true',
        help='fetch weights that are named and not on this machine',
    )


def allow_download(args: argparse.Namespace) -> None:
    """Let this process and its children fetch weights if ``--download`` is given."""
    if args.download:
        os.environ[DOWNLOAD_VARIABLE] = '1'


def add_picture_options(parser: argparse.ArgumentParser, has_legend: bool = True) -> None:
    """Add the options for pictures with labels laid over them."""
    parser.add_argument(
        '--opacity', type=float, default=0.5, help='of the labels, in (0, 1] (default: %(default)s)'
    )
    if has_legend:
        parser.add_argument(
            '--no-legend',
            dest='legend',
            action='store_false',
            help='do not add the class names and colours below the pictures',
        )
    parser.add_argument(
        '--tint-background',
        action='store_true',
        help="colour a class named 'background', 'bg' or the like, too",
    )


def add_job_options(parser: argparse.ArgumentParser, script: str) -> None:
    """Add the options for several processes and for ModelArts.

    Args:
        parser: The parser of the command line.
        script: The script that starts several processes.
    """
    parser.add_argument(
        '--launcher',
        default='none',
        help=f'launcher of several processes: none (default), msrun, mpi or ranktable; {script} '
        'sets it',
    )
    parser.add_argument(
        '--modelarts',
        action='store_true',
        help='copy data and results through moxing, which the machines of ModelArts have',
    )
    parser.add_argument('--data-url', help="with --modelarts: folder of the data set's files")
    parser.add_argument(
        '--checkpoint-url', help='with --modelarts: checkpoint, or folder of checkpoints'
    )
    parser.add_argument('--train-url', help='with --modelarts: folder for the results')


def one_line(error: BaseException) -> str:
    """Return an exception's message on one line of at most 800 characters.

    Without KeyError's quotes, the numbers of the operating system's errors, MindSpore's C++ call
    stack, and characters that control a terminal.

    Examples:
        >>> one_line(FileNotFoundError(2, 'No such file or directory', 'runs.npz'))
        'runs.npz: no such file or directory'
    """
    bare_key = isinstance(error, KeyError) and len(error.args) == 1
    message = str(error.args[0]) if bare_key else str(error)
    if isinstance(error, OSError) and message.startswith('[Errno'):
        files = (error.filename, error.filename2)
        names = [os.fsdecode(f) if isinstance(f, bytes) else str(f) for f in files if f is not None]
        text = str(error.strerror)
        text = text[:1].lower() + text[1:]
        message = f'{" -> ".join(names)}: {text}' if names else text
    return shorten(message.partition(_CALL_STACK)[0], _MAX_LINE) or type(error).__name__
