"""Do what ``msseg convert`` does."""

from msseg.commands.convert_from_torch import main
from msseg.utils.cli import run_main

if __name__ == '__main__':
    run_main(main)
