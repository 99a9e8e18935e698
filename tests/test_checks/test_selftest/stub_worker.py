"""A worker of the self-test whose checks end or hang their process, as the part's name says."""

import json
import os
import signal
import sys
import time
from pathlib import Path


def append(file, **line):
    with file.open('a') as stream:
        stream.write(f'{json.dumps(line)}\n')


def main(part, *words):
    options = dict(zip(words[::2], words[1::2], strict=True))
    file = Path(options['--folder'], f'{part}.jsonl')
    if part == 'never':
        sys.exit('error: no driver')
    for title in ('first', 'second', 'third')[int(options['--done']) :]:
        append(file, begins=title)
        if title == 'second' and part == 'killed':
            print('the driver is gone', flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if title == 'second' and part == 'late':
            time.sleep(60)
        append(file, title=title, status='ok', found=f'{title} of {options["--device"]}')
    if part == 'bad_end':
        os._exit(7)


if __name__ == '__main__':
    main(*sys.argv[1:])
