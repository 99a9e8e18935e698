"""``python -m msseg`` is the command ``msseg``."""

from msseg.commands import run

if __name__ == '__main__':
    run()
